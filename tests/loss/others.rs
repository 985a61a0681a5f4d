//! Other senders in the same trouble, for comparison: rsyslog and syslog-ng as they are advised to be
//! set up where nothing may be lost, each with a queue on disk.
//!
//! They read the same numbered lines from a file that grows at the rate of the load.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use slackcef::simulate::slack::Generated;
use tokio::task::JoinHandle;

use super::Load;
use super::process::Process;
use super::receiver::{rsyslog, syslog_ng};
use super::tally::END;
use super::transport::{Framing, Place, Transport};

/// Whose loss is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Slackcef,
    Rsyslog,
    SyslogNg,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Slackcef => "slackcef",
            Self::Rsyslog => "rsyslog",
            Self::SyslogNg => "syslog-ng",
        }
    }
}

/// The sender and who writes its input.
pub(crate) struct Other {
    process: Process,
    feeding: JoinHandle<()>,
}

impl Other {
    pub(crate) fn new(
        who: Who,
        folder: &Path,
        transport: &Transport,
        to: &Place,
        load: &Load,
    ) -> Result<Self, String> {
        let process = match who {
            Who::Rsyslog => rsyslog(folder, "sender.conf", &rsyslog_text(folder, transport, to)),
            Who::SyslogNg => syslog_ng(folder, "sender.conf", &syslog_ng_text(folder, transport, to)),
            Who::Slackcef => Err("no other".to_owned()),
        }?;
        let input = File::create(folder.join("input")).map_err(|error| error.to_string())?;
        Ok(Self { process, feeding: tokio::spawn(feed(input, load.events, load.rate)) })
    }

    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.process.start(&[])
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.process.signal("TERM");
        self.process.end(Duration::from_secs(60)).await.map(|_status| ())
    }

    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.process.ended()?;
        Some(format!("the sender ended by itself with {status}: {}", self.process.last_words()))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.feeding.abort();
    }
}

fn rsyslog_text(folder: &Path, transport: &Transport, to: &Place) -> String {
    let dir = folder.display();
    let tls = if transport.is_tls() {
        r#" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid""#
    } else {
        ""
    };
    let framing = if transport.framing == Framing::Counted { "octet-counted" } else { "traditional" };
    let port = to.address().port();
    format!(
        r#"global(workDirectory="{dir}" DefaultNetstreamDriverCAFile="{dir}/ca.pem")
module(load="imfile")
template(name="line" type="string" string="%msg%")
input(type="imfile" File="{dir}/input" Tag="input" ruleset="send")
ruleset(name="send") {{
    action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="{framing}" template="line"{tls}
        queue.type="LinkedList" queue.filename="send" queue.maxDiskSpace="4g" queue.saveOnShutdown="on"
        action.resumeRetryCount="-1" action.resumeInterval="1")
}}
action(type="omfile" file="{dir}/sender.said")
"#
    )
}

fn syslog_ng_text(folder: &Path, transport: &Transport, to: &Place) -> String {
    let dir = folder.display();
    let tls = if transport.is_tls() {
        format!(r#"transport("tls") tls(ca-file("{dir}/ca.pem") peer-verify(required-trusted))"#)
    } else {
        r#"transport("tcp")"#.to_owned()
    };
    let port = to.address().port();
    // `syslog()` would write a header of its own; `network()` sends the line as it is.
    format!(
        r#"@version: 3.38
options {{ use-dns(no); dns-cache(no); stats-freq(0); log-msg-size(65536); time-reopen(1); }};
source input {{ file("{dir}/input" follow-freq(0.1) flags(no-parse)); }};
destination send {{
    network("127.0.0.1" port({port}) {tls} template("${{MSG}}\n") template-escape(no)
        disk-buffer(reliable(yes) disk-buf-size(4294967296) mem-buf-size(16777216) dir("{dir}")));
}};
log {{ source(input); destination(send); flags(flow-control); }};
"#
    )
}

/// Appends the numbered lines, a tenth of a second's at a time.
async fn feed(mut input: File, events: u64, rate: u32) {
    let series = Generated::default();
    let mut clock = tokio::time::interval(Duration::from_millis(100));
    let mut piece = String::new();
    let mut next = 0;
    while next < events {
        clock.tick().await;
        let until = events.min(next + u64::from(rate).div_ceil(10));
        piece.clear();
        for index in next..until {
            let id = series.id_of(index);
            let _written =
                writeln!(piece, "<134>1 2026-01-01T00:00:00Z host CEF - - - {EVENT}{id} {REST}{END}0.");
        }
        if input.write_all(piece.as_bytes()).is_err() {
            return;
        }
        next = until;
    }
}

const EVENT: &str = "CEF:0|Slack|Audit Logs|1|user_channel_join|User joined a channel|0|externalId=";
/// As long as the events that slackcef sends here.
const REST: &str = "rt=1795234184000 end=1795234184000 act=user_channel_join cat=channel outcome=success \
    suser=person.88@corp.example.com suid=U000000058 c6a2=2001:db8::d c6a2Label=SourceIPv6Address duid=U000000058 \
    dvchost=workspace-0006.slack.com deviceExternalId=T0A10011 cs1=Someone cs1Label=SlackActorName cs2=channel \
    cs2Label=SlackEntityType cs3=C0A42752 cs3Label=SlackEntityId cs4=finance_q3 cs4Label=SlackEntityName \
    destinationServiceName=Slack SlackAuditActorTeam=T0A10036 SlackAuditByWorkflow=false SlackAuditChannelIsOrgShared=false \
    SlackAuditChannelIsSalesforce=false SlackAuditChannelIsShared=false SlackAuditChannelPrivacy=public \
    SlackAuditInviterEmail=person.4850@corp.example.com SlackAuditInviterId=U0000012F2 SlackAuditInviterName=Inviter \
    SlackAuditInviterTeam=T0A10008 SlackAuditLocationName=Workspace SlackAuditLocationType=workspace ";
