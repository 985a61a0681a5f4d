use proptest::prelude::*;

use super::*;
use crate::syslog::relp::{BadFrame, MOST_DATA};

const GREETING: &str = "1 rsp 93 200 OK\nrelp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog\n";

/// All that is heard in bytes that come in pieces of these lengths, the last piece taking the rest.
fn hear(session: &mut Session, bytes: &[u8], pieces: &[usize]) -> (Vec<Heard>, Option<RelpError>) {
    let (mut heard, mut rest) = (Vec::new(), bytes);
    for piece in pieces.iter().copied().chain([usize::MAX]) {
        let (mut piece, behind) = rest.split_at(piece.min(rest.len()));
        rest = behind;
        loop {
            match session.hear(&mut piece) {
                Ok(Some(said)) => heard.push(said),
                Ok(None) => break,
                Err(error) => return (heard, Some(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (heard, None)
}

fn said(session: &mut Session, text: &str) -> Result<Vec<Heard>, RelpError> {
    let (heard, error) = hear(session, text.as_bytes(), &[]);
    error.map_or(Ok(heard), Err)
}

fn open(window: usize) -> Session {
    let mut session = Session::new(window);
    session.open(&mut Vec::new());
    assert!(matches!(said(&mut session, GREETING).unwrap()[..], [Heard::Open(_)]));
    session
}

/// With so many messages sent.
fn sent(messages: usize) -> Session {
    let mut session = open(WINDOW);
    for _ in 0..messages {
        assert!(session.syslog(b"x", &mut Vec::new()));
    }
    session
}

#[test]
fn a_session_looks_as_librelp_has_it() {
    let (mut session, mut out) = (Session::new(WINDOW), Vec::new());
    session.open(&mut out);
    session.open(&mut out);
    let offers =
        format!("relp_version=0\nrelp_software=slackcef,{}\ncommands=syslog", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(out).unwrap(), format!("1 open {} {offers}\n", offers.len()));
    assert_eq!(session.room(), 0);
    assert!(!session.syslog(b"too early", &mut Vec::new()));

    let heard = said(&mut session, GREETING).unwrap();
    let software = Some("librelp,1.11.0,http://librelp.adiscon.com".to_owned());
    assert_eq!(heard, [Heard::Open(Offers { software, syslog: true })]);
    assert_eq!(session.room(), WINDOW);

    let mut out = Vec::new();
    for message in ["<134>1 ü", "", "b"] {
        assert!(session.syslog(message.as_bytes(), &mut out));
    }
    session.close(&mut out);
    session.close(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "2 syslog 9 <134>1 ü\n3 syslog 0\n4 syslog 1 b\n5 close 0\n");
    assert_eq!((session.unanswered(), session.room()), (3, 0));

    let heard =
        said(&mut session, "2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 6 200 OK\n5 rsp 0\n0 serverclose 0\n");
    let acknowledged = Heard::Acknowledged;
    assert_eq!(
        heard.unwrap(),
        [acknowledged.clone(), acknowledged.clone(), acknowledged, Heard::Closed, Heard::ServerClose]
    );
    assert_eq!(session.unanswered(), 0);
}

#[test]
fn the_window_opens_by_answers() {
    let (mut session, mut out) = (open(2), Vec::new());
    assert!(session.syslog(b"a", &mut out) && session.syslog(b"b", &mut out));
    let full = out.len();
    assert!(!session.syslog(b"c", &mut out));
    assert_eq!((session.room(), session.unanswered(), out.len()), (0, 2, full));
    assert_eq!(said(&mut session, "2 rsp 6 200 OK\n").unwrap(), [Heard::Acknowledged]);
    assert_eq!(session.room(), 1);
    assert!(session.syslog(b"c", &mut out));
}

#[test]
fn numbers_begin_again_behind_the_last() {
    let mut session = open(WINDOW);
    (session.next, session.awaited) = (frame::LAST_NUMBER, frame::LAST_NUMBER);
    let mut out = Vec::new();
    assert!(session.syslog(b"a", &mut out) && session.syslog(b"b", &mut out));
    assert_eq!(out, b"999999999 syslog 1 a\n1 syslog 1 b\n");
    let heard = said(&mut session, "999999999 rsp 6 200 OK\n1 rsp 6 200 OK\n").unwrap();
    assert_eq!(heard, [Heard::Acknowledged, Heard::Acknowledged]);
}

#[test]
fn a_refused_message_is_told_from_its_neighbours() {
    let mut session = sent(3);
    let heard = said(&mut session, "2 rsp 6 200 OK\n3 rsp 11 500 no room\n4 rsp 6 200 OK\n").unwrap();
    let refusal = Refusal { code: 500, text: "no room".into() };
    assert_eq!(heard, [Heard::Acknowledged, Heard::Refused(refusal), Heard::Acknowledged]);
}

#[test]
fn hints_do_not_count() {
    let mut session = sent(1);
    let heard = said(&mut session, "0 noise 3 abc\n0 serverclose 0\n2 rsp 6 200 OK\n").unwrap();
    assert_eq!(heard, [Heard::ServerClose, Heard::Acknowledged]);
}

#[test]
fn an_answer_out_of_turn_ends_the_session() {
    for (text, number, awaited) in [
        ("3 rsp 6 200 OK\n", 3, Some(2)),
        ("1 rsp 6 200 OK\n", 1, Some(2)),
        ("0 rsp 6 200 OK\n", 0, Some(2)),
        ("2 rsp 6 200 OK\n2 rsp 6 200 OK\n", 2, Some(3)),
        ("2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 6 200 OK\n", 4, None),
    ] {
        assert_eq!(said(&mut sent(2), text).unwrap_err(), RelpError::OutOfTurn { number, awaited }, "{text}");
    }
    let unasked = said(&mut Session::new(WINDOW), GREETING).unwrap_err();
    assert_eq!(unasked, RelpError::OutOfTurn { number: 1, awaited: None });
    assert_eq!(unasked.to_string(), "the receiver answered frame 1 in place of none");
}

#[test]
fn what_came_before_an_error_counts() {
    let mut session = sent(3);
    let (heard, error) = hear(&mut session, b"2 rsp 6 200 OK\n9 rsp 6 200 OK\n3 rsp 6 200 OK\n", &[]);
    assert_eq!(heard, [Heard::Acknowledged]);
    assert_eq!(error, Some(RelpError::OutOfTurn { number: 9, awaited: Some(3) }));
    assert_eq!(session.unanswered(), 2);
    assert_eq!(session.room(), 0, "nothing is sent any more");
    assert_eq!(said(&mut session, "3 rsp 6 200 OK\n").unwrap_err(), error.unwrap());
}

#[test]
fn a_session_may_be_refused() {
    let opening = |text: &str| {
        let mut session = Session::new(WINDOW);
        session.open(&mut Vec::new());
        said(&mut session, text).unwrap_err()
    };
    let refused = opening("1 rsp 22 500 too many sessions!\n0 serverclose 0\n");
    assert_eq!(refused.to_string(), "the receiver refused the session: 500 too many sessions!");
    assert_eq!(opening("1 rsp 25 200 OK\nrelp_version=0\nx=y\n"), RelpError::NoSyslog);
    assert_eq!(opening("1 rsp 0\n"), RelpError::NoCode { number: 1 });
}

#[test]
fn what_is_no_frame_says_so() {
    let bad = |text: &str| match said(&mut sent(1), text).unwrap_err() {
        RelpError::BadFrame(bad) => bad,
        other => panic!("{other}"),
    };
    assert_eq!(bad("\x15\x03\x03"), BadFrame::Number { byte: 0x15 });
    assert_eq!(bad(" rsp 0\n"), BadFrame::Number { byte: b' ' });
    assert_eq!(bad("1234567890 rsp"), BadFrame::Number { byte: b'0' });
    assert_eq!(bad("2  rsp"), BadFrame::Command { byte: b' ' });
    assert_eq!(bad(&format!("2 {}", "r".repeat(33))), BadFrame::Command { byte: b'r' });
    assert_eq!(bad("2 rsp  "), BadFrame::Length { byte: b' ' });
    assert_eq!(bad("2 rsp 6\n"), BadFrame::Length { byte: b'\n' });
    assert_eq!(bad("2 rsp 0000000006 "), BadFrame::Length { byte: b'6' });
    assert_eq!(bad("2 rsp 131073 "), BadFrame::Data { length: MOST_DATA + 1 });
    assert_eq!(bad("2 rsp 6 200 OK "), BadFrame::Trailer { byte: b' ' });
    assert_eq!(said(&mut sent(1), "2 rsp 0 \n").unwrap_err(), RelpError::NoCode { number: 2 });
    let command = RelpError::Command { command: "syslog".into() };
    assert_eq!(said(&mut sent(1), "2 syslog 1 x\n").unwrap_err(), command);
}

#[test]
fn a_large_answer_is_not_kept() {
    let mut session = sent(2);
    let large = format!("2 rsp {MOST_DATA} 200 {}\n", "x".repeat(MOST_DATA - 4));
    let (most, last) = large.split_at(MOST_DATA);
    assert_eq!(said(&mut session, most).unwrap(), []);
    assert!(session.incoming.kept() > MOST_DATA / 2);
    assert_eq!(said(&mut session, last).unwrap(), [Heard::Acknowledged]);
    assert!(session.incoming.kept() < 4096, "{}", session.incoming.kept());
}

/// Frames a server might send, most of them well-formed, and noise.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let answers = (1usize..30).prop_map(|upto| {
        let answers = (2..upto + 2).map(|number| match number % 7 {
            0 => format!("{number} rsp 7 500 bad\n"),
            3 => format!("0 serverclose 0\n{number} rsp 6 200 OK\n"),
            _ => format!("{number} rsp 6 200 OK\n"),
        });
        answers.collect::<String>().into_bytes()
    });
    let noise = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[0-9]{1,10} (rsp|open|[a-z]{1,40}) [0-9]{1,7}( [ -~\\n]{0,30})?\\n".prop_map(String::into_bytes),
    ];
    (answers, noise).prop_map(|(answers, noise)| [answers, noise].concat())
}

proptest! {
    #[test]
    fn cuts_of_the_stream_change_nothing(
        stream in stream(),
        pieces in prop::collection::vec(0usize..20, 0..60),
    ) {
        let whole = hear(&mut sent(40), &stream, &[]);
        prop_assert_eq!(&hear(&mut sent(40), &stream, &pieces), &whole);
        prop_assert_eq!(&hear(&mut sent(40), &stream, &vec![1; stream.len()]), &whole);
    }

    #[test]
    fn every_message_comes_out_of_its_frame(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let (mut session, mut out) = (open(WINDOW), Vec::new());
        for message in &messages {
            prop_assert!(session.syslog(message, &mut out));
        }
        let mut rest = out.as_slice();
        for (number, message) in (2..).zip(&messages) {
            let head = format!("{number} syslog {}", message.len());
            let mut expected = head.into_bytes();
            if !message.is_empty() {
                expected.push(b' ');
                expected.extend_from_slice(message);
            }
            expected.push(b'\n');
            prop_assert!(rest.starts_with(&expected));
            rest = &rest[expected.len()..];
        }
        prop_assert!(rest.is_empty());
    }
}
