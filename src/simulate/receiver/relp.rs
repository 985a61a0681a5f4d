//! The server's side of RELP, as librelp has it.
//!
//! ```text
//! TXNR SP COMMAND SP DATALEN [SP DATA] LF
//! ```
//!
//! A number that is not the next one, or a command before `open`, ends the connection. `open` is
//! answered with our offers, `syslog` with `200 OK` once the message is handed over, `close` with an
//! empty answer, the hint `0 serverclose 0` and the end; another command with 500.
//!
//! **Invariant:** a client that does not read its answers is not read from either, for long.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::{Connection, PIECE, Pace};
use super::shelf::Lost;
use super::wire::Wire;
use super::{Ended, Fault, Message, WAITING};

/// How RELP is spoken.
#[derive(Debug, Clone, Default)]
pub struct Relp {
    /// A message that holds this text is answered 500, and not handed over.
    pub refuses: Option<String>,
    /// Each answer leaves so long after its message came.
    pub delay: Duration,
    /// Offers begin behind `200 OK` and a space, as Logstash has it, not on a line of their own.
    pub offers_behind_a_space: bool,
}

impl Relp {
    fn takes(&self, message: &[u8]) -> bool {
        let Some(text) = self.refuses.as_deref().filter(|text| !text.is_empty()) else { return true };
        !message.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// An answer, and when it leaves.
struct Answer {
    due: Instant,
    text: Bytes,
}

impl Connection {
    /// Speaks to the end of the connection.
    pub(super) async fn speak_relp(&self, stream: impl Wire, relp: &Relp) -> Result<(), Lost> {
        if let Fault::ResetAfter(_) = self.fault {
            stream.reset_when_closed();
        }
        let (mut from, mut to) = tokio::io::split(stream);
        let (answers, waiting) = mpsc::channel(WAITING);
        let conversation = Conversation {
            connection: self,
            relp,
            answers,
            next: 1,
            is_open: false,
            messages: 0,
            struck: false,
        };
        let (over, written) = tokio::join!(conversation.hold(&mut from), write(&mut to, waiting));
        let (torn, how) = over?;
        if self.fault == Fault::NeverClose && matches!(how, Ended::BySender) {
            self.end(torn, how).await?;
            return std::future::pending().await;
        }
        if matches!(how, Ended::ByPoison) && self.manners.poison_resets {
            from.unsplit(to).reset_when_closed();
            return self.end(torn, how).await;
        }
        // The socket of a connection to be reset is set to do so when it is dropped.
        if written.is_ok() && !matches!(self.fault, Fault::ResetAfter(_)) {
            let _answered = to.shutdown().await;
        }
        self.end(torn, how).await
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), mut waiting: mpsc::Receiver<Answer>) -> io::Result<()> {
    while let Some(answer) = waiting.recv().await {
        if answer.due > Instant::now() {
            to.flush().await?;
            tokio::time::sleep_until(answer.due).await;
        }
        to.write_all(&answer.text).await?;
        if waiting.is_empty() {
            to.flush().await?;
        }
    }
    to.flush().await
}

struct Conversation<'c> {
    connection: &'c Connection,
    relp: &'c Relp,
    answers: mpsc::Sender<Answer>,
    /// The number that the next frame has to have.
    next: u32,
    is_open: bool,
    messages: u64,
    /// The fault has struck, and the connection goes on.
    struck: bool,
}

impl Conversation<'_> {
    /// Reads to the end of the connection: what was left of a frame, and how it ended.
    async fn hold(mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<(BytesMut, Ended), Lost> {
        let mut rest = BytesMut::new();
        let mut pace = Pace::of(self.connection.fault);
        let mut bytes_left =
            if let Fault::ResetAfter(bytes) = self.connection.fault { bytes } else { u64::MAX };
        let how = 'talk: loop {
            loop {
                if self.connection.strikes_at(self.messages) && !self.struck {
                    if let Some(how) = self.connection.strike().await? {
                        break 'talk how;
                    }
                    self.struck = true;
                }
                match next_frame(&mut rest, self.connection.manners.largest_frame) {
                    Err(BadFrame) => break 'talk Ended::BadFrame,
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        if let Some(how) = self.heard(frame).await? {
                            break 'talk how;
                        }
                    }
                }
            }
            if bytes_left == 0 {
                break Ended::ByFault;
            }
            rest.reserve(PIECE);
            let most = pace.next().await.min(bytes_left);
            match from.take(most).read_buf(&mut rest).await {
                Ok(0) => break Ended::BySender,
                Ok(read) => bytes_left = bytes_left.saturating_sub(u64::try_from(read).unwrap_or(0)),
                Err(fault) => break Ended::Broken(fault),
            }
        };
        Ok((rest, how))
    }

    /// Answers one frame; how the connection ends, if it does.
    async fn heard(&mut self, frame: Frame) -> Result<Option<Ended>, Lost> {
        if frame.number != self.next {
            return Ok(Some(Ended::BadFrame));
        }
        self.next = if self.next >= LAST_NUMBER { 1 } else { self.next.saturating_add(1) };
        let answered = match &*frame.command {
            b"open" if !self.is_open => {
                self.is_open = true;
                self.answer(frame.number, self.offers().as_bytes()).await
            }
            _ if !self.is_open => return Ok(Some(Ended::BadFrame)),
            b"syslog" => return self.message(frame).await,
            b"close" if !self.is_silent() => {
                if self.answer(frame.number, b"").await {
                    self.put(Bytes::from_static(SERVER_CLOSE)).await;
                }
                return Ok(Some(Ended::BySender));
            }
            b"close" => true,
            _ => self.answer(frame.number, b"500 no such command").await,
        };
        Ok((!answered).then(unread))
    }

    async fn message(&mut self, frame: Frame) -> Result<Option<Ended>, Lost> {
        if !self.relp.takes(&frame.data) {
            let answered = self.answer(frame.number, b"500 this one is not taken").await;
            return Ok((!answered).then(unread));
        }
        if self.connection.is_poison(&frame.data) {
            return Ok(Some(Ended::ByPoison));
        }
        let message = Message { connection: self.connection.number, counted: true, text: frame.data };
        match self.connection.shelf.put(message).await {
            Ok(()) => {}
            Err(Lost::Unstored(fault)) => return Ok(Some(Ended::Unstored(fault))),
            Err(unheard) => return Err(unheard),
        }
        self.messages = self.messages.saturating_add(1);
        if let Fault::CutAnswerAfter(whole) = self.connection.fault
            && self.messages > whole
        {
            let mut text = answer(frame.number, OK);
            text.truncate(text.len() / 2);
            self.put(text).await;
            return Ok(Some(Ended::ByFault));
        }
        let answered = self.answer(frame.number, OK).await;
        if self.connection.fault == Fault::ServerCloseAfter(self.messages) {
            self.put(Bytes::from_static(SERVER_CLOSE)).await;
            return Ok(Some(Ended::ByFault));
        }
        Ok((!answered).then(unread))
    }

    fn offers(&self) -> String {
        let between = if self.relp.offers_behind_a_space { ' ' } else { '\n' };
        let version = env!("CARGO_PKG_VERSION");
        format!("200 OK{between}relp_version=0\nrelp_software=slackcef-simulate,{version}\ncommands=syslog")
    }

    fn is_silent(&self) -> bool {
        matches!(self.connection.fault, Fault::SilentAfter(most) if self.messages > most)
    }

    /// False: nobody takes answers any more.
    async fn answer(&self, number: u32, data: &[u8]) -> bool {
        self.is_silent() || self.put(answer(number, data)).await
    }

    async fn put(&self, text: Bytes) -> bool {
        let due = Instant::now() + self.relp.delay;
        self.answers.send(Answer { due, text }).await.is_ok()
    }
}

fn answer(number: u32, data: &[u8]) -> Bytes {
    let mut text = format!("{number} rsp {}", data.len()).into_bytes();
    if !data.is_empty() {
        text.push(b' ');
        text.extend_from_slice(data);
    }
    text.push(b'\n');
    text.into()
}

/// The answers' side of the connection is gone.
fn unread() -> Ended {
    Ended::Broken(io::ErrorKind::BrokenPipe.into())
}

const LAST_NUMBER: u32 = 999_999_999;
const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";
const OK: &[u8] = b"200 OK";

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    number: u32,
    command: Bytes,
    data: Bytes,
}

/// No RELP, or data beyond all bounds.
#[derive(Debug, PartialEq, Eq)]
struct BadFrame;

/// Takes the next frame once it is whole.
fn next_frame(rest: &mut BytesMut, largest: usize) -> Result<Option<Frame>, BadFrame> {
    let head = rest.get(..MOST_HEADER).unwrap_or(rest);
    if !head.first().is_none_or(u8::is_ascii_digit) {
        return Err(BadFrame);
    }
    let mut stops = (0..).zip(head).filter(|(_, byte)| matches!(byte, b' ' | b'\n'));
    let (Some((number, b' ')), Some((command, b' ')), Some((length, behind))) =
        (stops.next(), stops.next(), stops.next())
    else {
        let may_become_one = head.len() < MOST_HEADER && !head.contains(&b'\n');
        return if may_become_one { Ok(None) } else { Err(BadFrame) };
    };
    let of_data = decimal(head.get(command + 1..length)).filter(|of_data| *of_data <= largest);
    let of_data = of_data.ok_or(BadFrame)?;
    // Without data the line feed is where the space would be.
    if (*behind == b'\n') != (of_data == 0) {
        return Err(BadFrame);
    }
    let start = if of_data == 0 { length } else { length + 1 };
    match rest.get(start.saturating_add(of_data)) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(BadFrame),
    }
    let head = rest.split_to(start).freeze();
    let data = rest.split_to(of_data).freeze();
    rest.advance(1);
    let command = head.slice(number + 1..command);
    let number = decimal(head.get(..number)).and_then(|number| u32::try_from(number).ok());
    Ok(Some(Frame { number: number.ok_or(BadFrame)?, command, data }))
}

fn decimal(digits: Option<&[u8]>) -> Option<usize> {
    let digits = digits.filter(|digits| digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Nine digits, a command of 32 letters, nine digits, and what parts them.
const MOST_HEADER: usize = 9 + 1 + 32 + 1 + 9 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32, command: &'static str, data: &'static str) -> Frame {
        let (command, data) = (Bytes::from_static(command.as_bytes()), Bytes::from_static(data.as_bytes()));
        Frame { number, command, data }
    }

    #[test]
    fn reads_frames_wherever_they_are_cut() {
        let text = b"1 open 15 commands=syslog\n2 syslog 5 a\nb c\n3 syslog 0\n999999999 close 0\n";
        for cut in 0..text.len() {
            let (mut rest, mut found) = (BytesMut::new(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                rest.extend_from_slice(part);
                while let Some(frame) = next_frame(&mut rest, 100).unwrap() {
                    found.push(frame);
                }
            }
            let expected = [
                frame(1, "open", "commands=syslog"),
                frame(2, "syslog", "a\nb c"),
                frame(3, "syslog", ""),
                frame(999_999_999, "close", ""),
            ];
            assert_eq!(found, expected);
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn refuses_what_is_no_frame() {
        for text in [
            "x",
            " ",
            "1 open\n",
            "1\n",
            "1 syslog 101 ",
            "1 syslog 3\n",
            "1 syslog 0 \n",
            "1 syslog -1 x",
            "1 syslog 1 xy\n",
            "1234567890 syslog 1 x\n",
            "1 syslog 0000000001 x\n",
            &"1".repeat(60),
        ] {
            assert_eq!(next_frame(&mut BytesMut::from(text), 100), Err(BadFrame), "{text}");
        }
    }

    #[test]
    fn refuses_by_the_text() {
        let relp = Relp { refuses: Some("poison".to_owned()), ..Relp::default() };
        assert!(relp.takes(b"<134>1 fine") && relp.takes(b"") && !relp.takes(b"<134>1 poisonous"));
        assert!(Relp::default().takes(b"poison"));
    }
}
