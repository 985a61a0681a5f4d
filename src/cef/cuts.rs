//! What did not fit, for the reader of the line and for our own counters.

use super::key::CUT_KEY;
use super::place::write_key;

/// The fields of one line that were cut or left out; empty, and nothing allocated, for most lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cuts(Vec<Cut>);

/// One field that was cut or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The key as it is written: `c6a2` for an IPv6 address in `src`, and `name` or
    /// `deviceEventClassId` for these two parts of the header.
    pub key: String,
    /// The bytes that the value had in the event.
    pub had: usize,
    /// The bytes that a reader of the line has of it; 0 when the field was left out.
    pub kept: usize,
}

impl Cut {
    /// Whether nothing of the field is in the line.
    pub fn is_dropped(&self) -> bool {
        self.kept == 0
    }
}

impl Cuts {
    /// Whether the whole event is in the line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many fields are in the line in part.
    pub fn shortened(&self) -> usize {
        self.0.iter().filter(|cut| !cut.is_dropped()).count()
    }

    /// How many fields are not in the line.
    pub fn dropped(&self) -> usize {
        self.0.iter().filter(|cut| cut.is_dropped()).count()
    }

    /// Each of them: parts of the header, fields over their key's length, fields whose name
    /// another has, then those that the line had no room for, from the last one backwards.
    pub fn iter(&self) -> std::slice::Iter<'_, Cut> {
        self.0.iter()
    }

    /// Adds a cut; its place among them.
    pub(super) fn add(&mut self, key: &str, had: usize, kept: usize) -> usize {
        self.0.push(Cut { key: key.to_owned(), had, kept });
        self.0.len().saturating_sub(1)
    }

    pub(super) fn set_kept(&mut self, at: usize, kept: usize) {
        if let Some(cut) = self.0.get_mut(at) {
            cut.kept = kept;
        }
    }

    /// The bytes that [`Cuts::write`] appends. They never become fewer when a cut is added.
    pub(super) fn written_len(&self, limit: usize) -> usize {
        let mut note = Vec::new();
        self.write(limit, note.len(), &mut note);
        // The space before the key, should it not be the first.
        note.len().saturating_add(usize::from(!note.is_empty()))
    }

    /// Appends ` slackcefCut=key:bytes,key:bytes,+3`: what each had, then how many more there are.
    pub(super) fn write(&self, limit: usize, first: usize, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let mut note = String::new();
        let mut left = self.0.len();
        for Cut { key, had, .. } in &self.0 {
            // The mark must not read `CEF:` where a custom key ends so.
            let colon = if key.ends_with("CEF") { "%3A" } else { ":" };
            let piece = format!("{key}{colon}{had},");
            if note.len().saturating_add(piece.len()).saturating_add(MORE) > limit {
                break;
            }
            note.push_str(&piece);
            left = left.saturating_sub(1);
        }
        match left {
            0 => note.truncate(note.len().saturating_sub(1)),
            left => {
                note.push('+');
                note.push_str(&left.to_string());
            }
        }
        write_key(CUT_KEY, first, out);
        out.extend_from_slice(note.as_bytes());
    }
}

impl<'a> IntoIterator for &'a Cuts {
    type Item = &'a Cut;
    type IntoIter = std::slice::Iter<'a, Cut>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The most bytes of `slackcefCut=` and the space before it.
pub(super) const MARK: usize = CUT_KEY.len() + 2;

/// Room kept for `+12345678`.
const MORE: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cuts: &Cuts, limit: usize) -> String {
        let mut out = b"CEF:0|a|a|1|a|a|1|rt=1".to_vec();
        let start = out.len();
        cuts.write(limit, 18, &mut out);
        assert_eq!(out.len() - start, cuts.written_len(limit));
        String::from_utf8(out.split_off(start)).unwrap()
    }

    #[test]
    fn names_what_is_cut_as_far_as_there_is_room() {
        let mut cuts = Cuts::default();
        assert_eq!(written(&cuts, 256), "");
        cuts.add("cs6", 8000, 3000);
        cuts.add("SlackCEF", 12, 0);
        assert_eq!(written(&cuts, 256), " slackcefCut=cs6:8000,SlackCEF%3A12");
        assert_eq!(written(&cuts, 24), " slackcefCut=cs6:8000,+1");
        assert_eq!((cuts.shortened(), cuts.dropped()), (1, 1));
    }

    #[test]
    fn the_mark_never_shrinks_and_never_passes_its_limit() {
        for limit in [120, 256] {
            let mut cuts = Cuts::default();
            let mut before = 0;
            for n in 0..2000 {
                let key = format!("{}CEF", "k".repeat(n % 61 + 1));
                cuts.add(&key, n * n, 0);
                let now = cuts.written_len(limit);
                assert!(now >= before && now <= limit + MARK, "{before} {now}");
                before = now;
            }
        }
    }
}
