//! The faults of `simulate receiver`, as they are typed.

use std::time::Duration;

use crate::config::duration;
use crate::simulate::receiver::Fault;

/// What each is called, and what it does: the end of `simulate receiver --help`.
pub(super) const FAULTS: &str = "\
Faults:
  none                  nothing
  close-at-once         closes as soon as it has accepted
  deaf                  accepts, and never reads or says a thing
  plaintext             answers in plaintext, whatever was spoken
  hang-up-after=N       closes in order after N messages; 0: as soon as the handshake is done
  reset-after=BYTES     resets after so many bytes of text, mid-frame or not
  stall-after=N         reads no more after N messages, and stays open
  pause-after=N:TIME    reads nothing for so long after N messages, then goes on
  slow=BYTES            reads so many bytes a second
  talk=TIME             sends a line again and again with this pause
  never-close           reads to the end, but answers it with no FIN
  go-away-after=N:TIME  the whole receiver is gone for so long after N messages: all is closed, new
                        connections are refused
  silent-after=N        RELP: answers nothing after N messages
  server-close-after=N  RELP: closes after the answer to N messages
  cut-answer-after=N    RELP: breaks off within the answer to the message behind N";

/// Reads a fault.
pub(super) fn parse(text: &str) -> Result<Fault, String> {
    let (name, argument) = text.split_once('=').unwrap_or((text, ""));
    let number = || argument.parse().map_err(|_| format!("write {name}=NUMBER"));
    let number_and_time = || -> Result<(u64, Duration), String> {
        let wanted = || format!("write {name}=NUMBER:TIME, such as {name}=100:5s");
        let (number, time) = argument.split_once(':').ok_or_else(wanted)?;
        Ok((number.parse().map_err(|_| wanted())?, duration(time)?))
    };
    Ok(match name {
        "hang-up-after" => Fault::HangUpAfter(number()?),
        "reset-after" => Fault::ResetAfter(number()?),
        "stall-after" => Fault::StallAfter(number()?),
        "silent-after" => Fault::SilentAfter(number()?),
        "server-close-after" => Fault::ServerCloseAfter(number()?),
        "cut-answer-after" => Fault::CutAnswerAfter(number()?),
        "slow" => Fault::Slow(argument.parse().map_err(|_| format!("write {name}=BYTES"))?),
        "talk" => Fault::Talk(duration(argument)?),
        "pause-after" => number_and_time().map(|(n, time)| Fault::PauseAfter(n, time))?,
        "go-away-after" => number_and_time().map(|(n, time)| Fault::GoAwayAfter(n, time))?,
        _ if !argument.is_empty() => return Err(format!("no fault of this name takes `={argument}`")),
        "none" => Fault::None,
        "close-at-once" => Fault::CloseAtOnce,
        "deaf" => Fault::Deaf,
        "plaintext" => Fault::Plaintext,
        "never-close" => Fault::NeverClose,
        _ => return Err("no fault has this name; `simulate receiver --help` lists them".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_that_is_listed_can_be_typed() {
        for line in FAULTS.lines().skip(1).filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        {
            let typed = line.split_whitespace().next().unwrap();
            let typed = typed.replace("BYTES", "4096").replace("TIME", "5s").replace("=N", "=7");
            assert!(parse(&typed).is_ok(), "{typed}");
        }
        assert_eq!(parse("go-away-after=100:500ms"), Ok(Fault::GoAwayAfter(100, Duration::from_millis(500))));
        for bad in ["", "late", "none=1", "slow", "slow=fast", "pause-after=5s", "talk=5", "reset-after=-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
