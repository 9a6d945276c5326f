//! Why connections end: the table of close codes, and what a transport error says. Sentences say
//! what to do where the code is received.

use quinn::{ConnectionError, VarInt};

use crate::session::Closed;

/// The application close codes of a connection, one table for both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCode {
    /// The sender is done.
    Done = 0x00,
    /// The master stops; dial again later.
    Shutdown = 0x01,
    /// Too much at once; dial again later.
    Busy = 0x02,
    /// The peer read too slowly.
    TooSlow = 0x03,
    /// A newer connection of the same identity came.
    Superseded = 0x04,
    /// No common protocol version.
    Version = 0x10,
    /// The peer sent what its role may not send, or garbage.
    Protocol = 0x11,
    /// The certificate's identity is not known to the registry.
    Unknown = 0x20,
    /// The identity was revoked.
    Revoked = 0x21,
    /// The certificate has expired.
    Expired = 0x22,
}

/// Characters of a peer's reason that are kept.
const REASON_CHARS_MAX: usize = 200;

impl CloseCode {
    const ALL: [Self; 10] = [
        Self::Done,
        Self::Shutdown,
        Self::Busy,
        Self::TooSlow,
        Self::Superseded,
        Self::Version,
        Self::Protocol,
        Self::Unknown,
        Self::Revoked,
        Self::Expired,
    ];

    /// Tells whether dialling again with the same identity cannot help.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Version | Self::Protocol | Self::Unknown | Self::Revoked | Self::Expired
        )
    }

    /// Returns the code on the wire.
    pub(crate) const fn wire(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    fn from_wire(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.wire() == code)
    }
}

/// Says why a connection ended, with what to do.
pub(crate) fn closed(error: &ConnectionError) -> Closed {
    match error {
        ConnectionError::ApplicationClosed(frame) => {
            let code = CloseCode::from_wire(frame.error_code);
            let reason = clean(&String::from_utf8_lossy(&frame.reason));
            let sentence = match code {
                Some(CloseCode::Revoked) => {
                    "the master revoked this identity; ask for a new one with `ganger invite`"
                        .to_owned()
                }
                Some(CloseCode::Expired) => {
                    "this identity's certificate has expired; join again with a line from \
                     `ganger invite`"
                        .to_owned()
                }
                _ if reason.is_empty() => "the master closed the connection".to_owned(),
                _ => reason,
            };
            Closed { code, sentence }
        }
        ConnectionError::ConnectionClosed(frame) => alert(u64::from(frame.error_code)),
        ConnectionError::TransportError(error) => alert(u64::from(error.code)),
        ConnectionError::TimedOut => just("nothing was heard for too long"),
        ConnectionError::Reset => just("the other end was restarted"),
        ConnectionError::LocallyClosed => just("this end closed the connection"),
        ConnectionError::VersionMismatch => just("the other end speaks another version of QUIC"),
        ConnectionError::CidsExhausted => just("the other end ran out of connection ids"),
    }
}

fn just(sentence: &str) -> Closed {
    Closed { code: None, sentence: sentence.to_owned() }
}

/// Reads a TLS alert out of a QUIC error code: 0x100 + alert (RFC 9001, 4.8; RFC 8446, 6).
fn alert(code: u64) -> Closed {
    let (code, sentence) = match code.checked_sub(0x100) {
        Some(44) => (
            CloseCode::Revoked,
            "the master revoked this identity; ask for a new one with `ganger invite`",
        ),
        Some(45) => (
            CloseCode::Expired,
            "a certificate has expired or is not valid yet; check both clocks, then join again \
             with a line from `ganger invite`",
        ),
        Some(42 | 43 | 46 | 49 | 116) => (
            CloseCode::Unknown,
            "the master does not accept this identity; join with a line from `ganger invite`",
        ),
        Some(48) => (
            CloseCode::Unknown,
            "this is not the master that the identity belongs to; join it with a line from its \
             `ganger invite`",
        ),
        Some(120) => {
            (CloseCode::Version, "the other end speaks another version of ganger; update both")
        }
        _ => return just("the connection broke"),
    };
    Closed { code: Some(code), sentence: sentence.to_owned() }
}

/// Returns a peer's text without what could reach a terminal as a command, and not too long.
pub(crate) fn clean(text: &str) -> String {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
            || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().filter(|c| !hidden(c)).take(REASON_CHARS_MAX).collect()
}
