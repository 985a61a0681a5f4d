//! Messages out of a stream of bytes, by both framings of RFC 6587.
//!
//! **Invariant:** no more is kept than a length and one frame of the largest size.

use bytes::{Buf, Bytes, BytesMut};

/// No length, or one beyond all bounds.
pub(super) struct BadFrame;

/// Takes the next whole frame. The first byte of a connection tells the framing: a digit begins a
/// count, anything else a line.
pub(super) fn next_frame(
    rest: &mut BytesMut,
    counted: &mut Option<bool>,
    largest: usize,
) -> Option<Result<Bytes, BadFrame>> {
    let first = rest.first()?;
    if *counted.get_or_insert(first.is_ascii_digit()) {
        next_counted(rest, largest).transpose()
    } else {
        next_line(rest, largest).transpose()
    }
}

fn next_counted(rest: &mut BytesMut, largest: usize) -> Result<Option<Bytes>, BadFrame> {
    let Some(space) = rest.iter().take(MOST_DIGITS).position(|&byte| byte == b' ') else {
        return if rest.len() < MOST_DIGITS { Ok(None) } else { Err(BadFrame) };
    };
    let digits = rest.get(..space).unwrap_or_default();
    let plain = digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    let length = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|digits| digits.parse().ok());
    let length: usize = length.filter(|&length| length <= largest).ok_or(BadFrame)?;
    let text = space.saturating_add(1);
    if rest.len() < text.saturating_add(length) {
        return Ok(None);
    }
    rest.advance(text);
    Ok(Some(rest.split_to(length).freeze()))
}

const MOST_DIGITS: usize = 11;

fn next_line(rest: &mut BytesMut, largest: usize) -> Result<Option<Bytes>, BadFrame> {
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
        return if rest.len() <= largest { Ok(None) } else { Err(BadFrame) };
    };
    let line = rest.split_to(end).freeze();
    rest.advance(1);
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &str) -> (Vec<String>, String, bool) {
        let mut rest = BytesMut::from(text);
        let (mut counted, mut found, mut bad) = (None, Vec::new(), false);
        while let Some(frame) = next_frame(&mut rest, &mut counted, 100) {
            let Ok(frame) = frame else {
                bad = true;
                break;
            };
            found.push(String::from_utf8(frame.to_vec()).unwrap());
        }
        (found, String::from_utf8(rest.to_vec()).unwrap(), bad)
    }

    #[test]
    fn reads_both_framings() {
        assert_eq!(frames("3 abc5 d\nfgh2 x"), (vec!["abc".into(), "d\nfgh".into()], "2 x".into(), false));
        assert_eq!(frames("<1>a\n2 b\n<3>c"), (vec!["<1>a".into(), "2 b".into()], "<3>c".into(), false));
        assert_eq!(frames(""), (vec![], String::new(), false));
    }

    #[test]
    fn refuses_lengths_that_are_none() {
        for text in ["03 abc", "3x abc", "101 a", "12345678901234 a", "99999999999"] {
            assert!(frames(text).2, "{text}");
        }
        assert!(frames("1 a\n1 b").2, "a line feed behind a counted frame belongs to nothing");
    }
}
