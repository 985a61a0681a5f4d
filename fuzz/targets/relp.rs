#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slackcef_fuzz::relp(data));
