//! A batch on its way: one buffer, and where each frame in it ends.
//!
//! Octet counting (RFC 6587 §3.4.1, the only framing of RFC 5425) writes `LEN SP message`, LEN in
//! bytes. Newline framing (RFC 6587 §3.4.2) writes the message and a line feed. Bare messages get
//! their frame where they go out: RELP's has a number in it that the connection gives, and a batch
//! may go out again on another connection.
//!
//! **Invariant:** one push is one frame under every framing, whatever was written: control
//! characters, which could end a frame early or make a receiver write two lines, become spaces.
//! **Invariant:** no allocation once the buffer has grown to the largest batch.

use std::ops::Range;

/// How a receiver tells where a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The length in front. A connection that breaks leaves no half event behind.
    OctetCounting,
    /// A line feed behind. A connection that breaks inside a frame leaves half an event behind.
    Newline,
    /// Nothing: the transport keeps messages apart by itself.
    Bare,
}

/// The frames of one batch.
#[derive(Debug, Clone)]
pub struct Frames {
    framing: Framing,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many digits the last length had: room for as many is left in front of the next message,
    /// which is moved only when that was wrong.
    digits: usize,
}

impl Frames {
    /// An empty batch.
    pub const fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), ends: Vec::new(), digits: 3 }
    }

    /// Forgets the frames and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Makes one frame of what `write` appends to the buffer: header and text. The buffer is not
    /// empty: what stands in it already is not `write`'s to touch, nor to count.
    pub fn push<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let room = match self.framing {
            Framing::OctetCounting => self.digits.saturating_add(1),
            Framing::Newline | Framing::Bare => 0,
        };
        let frame = self.bytes.len();
        let start = frame.saturating_add(room);
        self.bytes.resize(start, b' ');
        let done = write(&mut self.bytes);
        for byte in self.bytes.get_mut(start..).unwrap_or_default() {
            *byte = if *byte < b' ' { b' ' } else { *byte };
        }
        match self.framing {
            Framing::OctetCounting => self.count(frame..start),
            Framing::Newline => self.bytes.push(b'\n'),
            Framing::Bare => {}
        }
        self.ends.push(self.bytes.len());
        done
    }

    /// Takes the bytes away to be written; [`Self::give_back`] brings the buffer back.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Brings a buffer back, for the next batch.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        self.bytes = buffer;
        self.clear();
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All frames, one behind the other, as they go out.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The frames one by one, each with its count or line feed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let frame = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            frame
        })
    }

    /// The frame at `place`, from 0.
    pub fn frame(&self, place: usize) -> Option<&[u8]> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end)
    }

    /// Writes the count into the room left for it, moving the message if the room is too small or
    /// too large.
    fn count(&mut self, room: Range<usize>) {
        let length = self.bytes.len().saturating_sub(room.end);
        let digits = decimal_digits(length);
        if digits.saturating_add(1) != room.len() {
            let count = std::iter::repeat_n(b' ', digits.saturating_add(1));
            drop(self.bytes.splice(room.clone(), count));
            self.digits = digits;
        }
        let places = self.bytes.iter_mut().skip(room.start).take(digits);
        let mut rest = length;
        for place in places.rev() {
            *place = b'0' | u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
    }
}

fn decimal_digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| usize::try_from(log).unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(framing: Framing, messages: &[Vec<u8>]) -> Frames {
        let mut frames = Frames::new(framing);
        for message in messages {
            frames.push(|buf| buf.extend_from_slice(message));
        }
        frames
    }

    #[test]
    fn each_framing_looks_as_its_standard_says() {
        let messages = [b"<134>1 a".to_vec(), "<134>1 ü".into(), vec![b'x'; 1000], Vec::new(), vec![b'y'; 9]];
        let counted = frames(Framing::OctetCounting, &messages);
        let expected = format!("8 <134>1 a9 <134>1 ü1000 {}0 9 yyyyyyyyy", "x".repeat(1000));
        assert_eq!(counted.bytes(), expected.as_bytes());
        assert_eq!(counted.len(), 5);
        let lines = frames(Framing::Newline, &messages[..2]);
        assert_eq!(lines.bytes(), "<134>1 a\n<134>1 ü\n".as_bytes());
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["<134>1 a\n".as_bytes(), "<134>1 ü\n".as_bytes()]);
        let bare = frames(Framing::Bare, &messages);
        assert_eq!(bare.iter().collect::<Vec<_>>(), messages);
    }

    #[test]
    fn a_batch_is_forgotten_but_its_buffer_stays() {
        let mut frames = frames(Framing::OctetCounting, &vec![vec![b'x'; 700]; 100]);
        let (bytes, ends) = (frames.bytes.capacity(), frames.ends.capacity());
        for _ in 0..3 {
            frames.clear();
            assert!(frames.is_empty() && frames.bytes().is_empty());
            for _ in 0..100 {
                frames.push(|buf| buf.extend_from_slice(&[b'x'; 700]));
            }
            assert_eq!((frames.bytes.capacity(), frames.ends.capacity()), (bytes, ends));
        }
    }

    proptest! {
        #[test]
        fn one_push_is_one_frame(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 0..20),
        ) {
            let cleaned: Vec<Vec<u8>> =
                messages.iter().map(|m| m.iter().map(|&b| b.max(b' ')).collect()).collect();

            let lines = frames(Framing::Newline, &messages);
            let mut read: Vec<_> = lines.bytes().split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(read.pop(), Some(Vec::new()));
            prop_assert_eq!(&read, &cleaned);

            let counted = frames(Framing::OctetCounting, &messages);
            let (mut rest, mut read) = (counted.bytes(), Vec::new());
            while !rest.is_empty() {
                let space = rest.iter().position(|&b| b == b' ').unwrap();
                let length = std::str::from_utf8(&rest[..space]).unwrap();
                prop_assert!(length == "0" || !length.starts_with('0'));
                let end = space + 1 + length.parse::<usize>().unwrap();
                read.push(rest[space + 1..end].to_vec());
                rest = &rest[end..];
            }
            prop_assert_eq!(&read, &cleaned);
            prop_assert_eq!(counted.iter().len(), messages.len());
            prop_assert_eq!(counted.iter().collect::<Vec<_>>().concat(), counted.bytes());

            let bare = frames(Framing::Bare, &messages);
            prop_assert_eq!(bare.iter().collect::<Vec<_>>(), cleaned);
            for frames in [&lines, &counted, &bare] {
                let one_by_one = (0..frames.len()).map(|place| frames.frame(place).unwrap());
                prop_assert!(one_by_one.eq(frames.iter()));
                prop_assert_eq!(frames.frame(frames.len()), None);
            }
        }
    }
}
