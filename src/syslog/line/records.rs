//! The lengths of TLS records, looked at as they pass by beneath rustls.
//!
//! rustls answers nobody's question whether the peer has updated its keys, so the peer's answer to
//! our `KeyUpdate` (RFC 8446 §4.6.3) is told by what cannot be hidden: a record of its length. A
//! `KeyUpdate` message has 5 bytes, its record 22 to 64 with tag and padding; session tickets are
//! over 100, alerts 19. What the receiver says for its users may have any length, but rustls hands it
//! out as plaintext, and then it was no answer.
//!
//! **Invariant:** one read gives bytes of one record at most, so that whoever reads knows which
//! record the plaintext came in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that carries TLS records, with those that look like answers counted.
#[derive(Debug)]
pub(in crate::syslog) struct Records<S> {
    stream: S,
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    got: usize,
    /// Bytes of the body that have not.
    left: usize,
    /// The record that passed last looks like an answer.
    last: bool,
    answers: u32,
}

/// Type, version, length (RFC 8446 §5.1).
const HEADER: usize = 5;
/// The record type under which everything travels that is encrypted.
const APPLICATION_DATA: u8 = 23;
const OF_AN_ANSWER: std::ops::RangeInclusive<usize> = 22..=64;

impl<S> Records<S> {
    pub(in crate::syslog) fn new(stream: S) -> Self {
        Self { stream, header: [0; HEADER], got: 0, left: 0, last: false, answers: 0 }
    }

    pub(in crate::syslog) fn stream(&self) -> &S {
        &self.stream
    }

    pub(in crate::syslog) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// How many records looked like answers since [`Self::forget`].
    pub(in crate::syslog) fn answers(&self) -> u32 {
        self.answers
    }

    /// What passed so far was the handshake.
    pub(in crate::syslog) fn forget(&mut self) {
        self.answers = 0;
        self.last = false;
    }

    /// The record that passed last held plaintext.
    pub(in crate::syslog) fn last_was_data(&mut self) {
        if std::mem::take(&mut self.last) {
            self.answers = self.answers.saturating_sub(1);
        }
    }

    /// How much of the record under way is still to come, as far as is known.
    fn wanted(&self) -> usize {
        if self.got < HEADER { HEADER.saturating_sub(self.got) } else { self.left }
    }

    fn note(&mut self, bytes: &[u8]) {
        if self.got == HEADER {
            self.left = self.left.saturating_sub(bytes.len());
        } else {
            for (place, byte) in self.header.iter_mut().skip(self.got).zip(bytes) {
                *place = *byte;
            }
            self.got = self.got.saturating_add(bytes.len());
            let [kind, _, _, high, low] = self.header;
            if self.got == HEADER {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.last = kind == APPLICATION_DATA && OF_AN_ANSWER.contains(&self.left);
            }
        }
        if self.got == HEADER && self.left == 0 {
            self.got = 0;
            self.answers = self.answers.saturating_add(u32::from(self.last));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Records<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Receivers say little: a copy of it costs nothing.
        let mut space = [0; 1024];
        let most = self.wanted().min(buffer.remaining()).min(space.len());
        let mut piece = ReadBuf::new(space.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.note(piece.filled());
        buffer.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Records<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn record(kind: u8, length: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        [vec![kind, 3, 3, high, low], vec![7; length]].concat()
    }

    #[tokio::test]
    async fn only_records_of_an_answers_length_count() {
        let sent =
            [record(23, 19), record(23, 22), record(23, 250), record(22, 40), record(23, 64), record(23, 65)];
        let mut records = Records::new(io::Cursor::new(sent.concat()));
        let mut read = Vec::new();
        records.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, sent.concat());
        assert_eq!(records.answers(), 2);
        records.forget();
        assert_eq!(records.answers(), 0);
    }

    #[tokio::test]
    async fn what_came_out_as_plaintext_was_no_answer() {
        let mut records = Records::new(io::Cursor::new([record(23, 30), record(23, 30)].concat()));
        let mut space = [0; 35];
        records.read_exact(&mut space).await.unwrap();
        assert_eq!(records.answers(), 1);
        records.last_was_data();
        records.last_was_data();
        assert_eq!(records.answers(), 0);
        records.read_exact(&mut space).await.unwrap();
        assert_eq!(records.answers(), 1);
    }

    proptest! {
        #[test]
        fn no_read_crosses_a_records_end(
            lengths in prop::collection::vec(0_usize..3000, 1..8),
            step in 1_usize..4000,
        ) {
            let sent: Vec<u8> = lengths.iter().flat_map(|&length| record(23, length)).collect();
            let mut ends: Vec<usize> = Vec::new();
            for length in &lengths {
                ends.push(ends.last().unwrap_or(&0) + HEADER + length);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let answers = runtime.block_on(async {
                let mut records = Records::new(io::Cursor::new(sent.clone()));
                let (mut at, mut space) = (0, vec![0; step]);
                loop {
                    let read = records.read(&mut space).await.unwrap();
                    if read == 0 {
                        return records.answers();
                    }
                    let end = ends.iter().find(|&&end| end > at).unwrap();
                    assert!(at + read <= *end, "{at}+{read} crosses {end}");
                    at += read;
                }
            });
            let like = lengths.iter().filter(|length| OF_AN_ANSWER.contains(length)).count();
            prop_assert_eq!(answers as usize, like);
        }
    }
}
