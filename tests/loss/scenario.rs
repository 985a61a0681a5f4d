//! What goes wrong, and what must hold afterwards.

use super::transport::{Driver, Server, Transport, Version, Wire};

/// One column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Q,
    A,
    B,
    C1,
    C2,
    C3,
    D,
    E,
    F,
    G,
    P,
}

use Scenario::{A, B, C1, C2, C3, D, E, F, G, P, Q};

/// Every scenario, in the order of the table.
pub(crate) const SCENARIOS: &[Scenario] = &[Q, A, B, C1, C2, C3, D, E, F, G, P];

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Q => "Q",
            A => "A",
            B => "B",
            C1 => "C1",
            C2 => "C2",
            C3 => "C3",
            D => "D",
            E => "E",
            F => "F",
            G => "G",
            P => "P",
        }
    }

    pub(crate) fn about(self) -> &'static str {
        match self {
            Q => "nothing is disturbed",
            A => "the receiver is killed (SIGKILL) and started again, ten times under load",
            B => "the receiver is stopped (SIGSTOP) for 20 s, then killed and started again",
            C1 => "a proxy resets the connection in the middle of a frame, ten times",
            C2 => "a proxy reads nothing for 20 s, then resets",
            C3 => "a proxy takes everything and passes nothing on for 1 s, then resets; three times",
            D => "slackcef is killed (SIGKILL) and started again, ten times under load",
            E => "the receiver is away for the whole input, then comes",
            F => "certificates, keys and authorities of both sides are replaced under load",
            G => "mapping and configuration are changed under load, good and bad ones",
            P => "slackcef is stopped in order (SIGTERM) and started again, ten times under load",
        }
    }

    /// A proxy stands between.
    pub(crate) fn has_proxy(self) -> bool {
        matches!(self, C1 | C2 | C3)
    }

    /// Nothing here excuses a repeat.
    pub(crate) fn forbids_repeats(self) -> bool {
        matches!(self, Q | G | P)
    }

    /// Whether it makes sense for that transport.
    pub(crate) fn suits(self, transport: &Transport) -> bool {
        match self {
            F => transport.is_tls(),
            C1 | C2 | C3 => transport.wire != Wire::Udp,
            _ => true,
        }
    }
}

/// The runs of the short form: each transport and each scenario at least once, and the most delicate of
/// them where they differ.
pub(crate) fn is_in_the_short_form(transport: &Transport, scenario: Scenario) -> bool {
    let picked: &[Scenario] = match transport.name {
        "tls13" => &[Q, A, B, C2, D, G, P],
        "tls13-gtls" => &[A],
        "tls13-ng" => &[C1, E],
        "tls13-own" => &[C3, F],
        "tls12" => &[A, D, F],
        "tls12-own" => &[P],
        "tcp" => &[A, C1, P],
        "tcp-ng" => &[B, Q],
        "relp" => &[A, D, P],
        "tls12-ng" | "relp-tls" => &[C1],
        "unix" => &[A, C1],
        "udp" => &[Q, D],
        _ => &[],
    };
    picked.contains(&scenario)
}

/// Whether a loss is a failure: nobody can know what becomes of a datagram.
pub(crate) fn must_not_lose(transport: &Transport) -> bool {
    transport.wire != Wire::Udp
}

/// Whether receipts come while the connection is open, and not only at its end: then little is sent again.
pub(crate) fn confirms_soon(transport: &Transport) -> bool {
    match transport.wire {
        Wire::Relp { .. } => true,
        // GnuTLS does not promise to answer a request for new keys.
        Wire::Tls(Version::V1_3) => transport.server != Server::Rsyslog(Driver::GnuTls),
        _ => false,
    }
}
