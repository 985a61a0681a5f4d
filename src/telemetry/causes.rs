//! An error and what lies behind it, in words.

use std::error::Error;

/// The error's own text, then that of each of its causes.
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some libraries repeat their source in their own text.
        if !texts.last().is_some_and(|last| last.ends_with(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts
}

/// The same on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).join(": ")
}
