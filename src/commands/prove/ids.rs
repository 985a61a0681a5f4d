//! The ids of a window: gathered, put in order, made one digest.
//!
//! The digest is SHA-256 over the different ids, in the order of their bytes, each followed by a line
//! feed: `sort -u | sha256sum` under `LC_ALL=C`. Whoever has the ids can make it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Ids in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Ids {
    text: Vec<u8>,
    /// Where each begins and ends.
    places: Vec<(usize, usize)>,
}

impl Ids {
    pub(super) fn add(&mut self, id: &str) {
        let begin = self.text.len();
        self.text.extend_from_slice(id.as_bytes());
        self.places.push((begin, self.text.len()));
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.text.len().saturating_add(self.places.len().saturating_mul(size_of::<(usize, usize)>()))
    }

    /// Puts them in order, each once.
    pub(super) fn sorted(self) -> Sorted {
        let Self { text, mut places } = self;
        places.sort_unstable_by(|a, b| part(&text, *a).cmp(part(&text, *b)));
        places.dedup_by(|a, b| part(&text, *a) == part(&text, *b));
        let met = vec![false; places.len()];
        Sorted { text, places, met }
    }
}

/// Ids in order, each once, some of which were met elsewhere.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    text: Vec<u8>,
    places: Vec<(usize, usize)>,
    met: Vec<bool>,
}

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The digest, in hexadecimal.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for place in &self.places {
            digest.update(part(&self.text, *place));
            digest.update(b"\n");
        }
        let mut hex = String::with_capacity(64);
        for byte in digest.finalize() {
            // Writing to a string cannot fail.
            write!(hex, "{byte:02x}").unwrap_or_default();
        }
        hex
    }

    /// Notes that an id was met elsewhere.
    pub(super) fn meet(&mut self, id: &str) -> Met {
        let found = self.places.binary_search_by(|place| part(&self.text, *place).cmp(id.as_bytes()));
        match found.ok().and_then(|nth| self.met.get_mut(nth)) {
            None => Met::Unknown,
            Some(met) if *met => Met::Again,
            Some(met) => {
                *met = true;
                Met::Known
            }
        }
    }

    /// Those that were not met.
    pub(super) fn unmet(&self) -> impl Iterator<Item = String> {
        let unmet = self.places.iter().zip(&self.met).filter(|(_, met)| !**met);
        unmet.map(|(place, _)| String::from_utf8_lossy(part(&self.text, *place)).into_owned())
    }
}

/// Whether an id is among those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It is, and was met for the first time.
    Known,
    /// It is, and was met before.
    Again,
    Unknown,
}

fn part(text: &[u8], (begin, end): (usize, usize)) -> &[u8] {
    text.get(begin..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &[&str]) -> Sorted {
        let mut ids = Ids::default();
        for id in of {
            ids.add(id);
        }
        ids.sorted()
    }

    #[test]
    fn the_digest_is_what_sort_and_sha256sum_make() {
        // printf 'b\na\n\xc3\xa9\nab\n' | LC_ALL=C sort -u | sha256sum
        let expected = "6c68c83cb646e39ec078172ce9da150df50251bf69f100c55638e4b3d782ef03";
        assert_eq!(ids(&["b", "a", "é", "ab", "a", "b"]).digest(), expected);
        assert_eq!(ids(&[]).digest(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn what_is_met_elsewhere_is_told_from_what_is_not() {
        let mut ids = ids(&["b", "a", "c", "a"]);
        assert_eq!(ids.len(), 3);
        assert_eq!(
            ["a", "a", "d", "c"].map(|id| ids.meet(id)),
            [Met::Known, Met::Again, Met::Unknown, Met::Known]
        );
        assert_eq!(ids.unmet().collect::<Vec<_>>(), ["b"]);
    }
}
