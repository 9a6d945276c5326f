//! Why connections end: the table of close codes, and the sentences made where a code is received.
//! Does not know which frame or handshake led to it.

use quinn::ConnectionError;

use crate::limits::{IDLE_TIMEOUT, REASON_CHARS_MAX};
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

    /// Tells whether dialling again with the same identity cannot help. Of a certificate that has
    /// ended the next handshake tells: it may be the clock of one end that is wrong for a moment.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Version | Self::Protocol | Self::Unknown | Self::Revoked)
    }

    /// Returns the code as QUIC carries it.
    pub(crate) const fn wire(self) -> quinn::VarInt {
        quinn::VarInt::from_u32(self as u32)
    }

    fn of_wire(code: quinn::VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.wire() == code)
    }

    /// What it means to the end that receives it, and what a person can do.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "the other end is done",
            Self::Shutdown => "the master stops",
            Self::Busy => "the master is busy",
            Self::TooSlow => "this end read or sent too slowly",
            Self::Superseded => "another process connected with the same identity",
            Self::Version => {
                "the master speaks no protocol version that this program speaks; \
                 install the same release on both"
            }
            Self::Protocol => "the other end refuses what this program sent",
            Self::Unknown => {
                "the master does not know this identity; \
                 ask an operator for `ganger invite` and join again with the line it prints"
            }
            Self::Revoked => {
                "the master revoked this identity; \
                 ask an operator for `ganger invite` and join again with the line it prints"
            }
            Self::Expired => {
                "this identity's certificate has expired; \
                 ask an operator for `ganger invite` and join again with the line it prints"
            }
        }
    }
}

/// Makes text from a peer safe to show: no control characters, bounded, on one line.
pub(crate) fn clean(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let invisible = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !invisible(c)).take(REASON_CHARS_MAX).collect()
}

impl From<&ConnectionError> for Closed {
    fn from(error: &ConnectionError) -> Self {
        let said = |sentence: String| Self { code: None, sentence };
        match error {
            ConnectionError::ApplicationClosed(close) => {
                let reason = clean(&close.reason);
                match CloseCode::of_wire(close.error_code) {
                    Some(code) if reason.is_empty() => {
                        Self { code: Some(code), sentence: code.meaning().to_owned() }
                    }
                    Some(code) => {
                        let sentence = format!("{}; it says: {reason}", code.meaning());
                        Self { code: Some(code), sentence }
                    }
                    None => {
                        said(format!("the other end closed it with a code unknown here: {reason}"))
                    }
                }
            }
            // QUIC's CONNECTION_REFUSED.
            ConnectionError::ConnectionClosed(close) if u64::from(close.error_code) == 2 => {
                said("the other end takes no connection from here at the moment".to_owned())
            }
            ConnectionError::ConnectionClosed(close) => {
                said(format!("the other end's transport closed it: {}", clean(&close.reason)))
            }
            ConnectionError::TimedOut => {
                said(format!("nothing was heard for {} s", IDLE_TIMEOUT.as_secs()))
            }
            ConnectionError::Reset => {
                said("the other end has forgotten it; it restarted".to_owned())
            }
            ConnectionError::LocallyClosed => said("this end closed it".to_owned()),
            ConnectionError::VersionMismatch => {
                said("the other end speaks another version of QUIC".to_owned())
            }
            ConnectionError::TransportError(error) => {
                said(format!("the transport failed: {}", clean(error.to_string().as_bytes())))
            }
            ConnectionError::CidsExhausted => said("this end has too many connections".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_cross_the_wire() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::of_wire(code.wire()), Some(code));
            assert!(!code.meaning().is_empty());
        }
        assert_eq!(CloseCode::of_wire(quinn::VarInt::from_u32(0x99)), None);
    }

    #[test]
    fn a_peers_text_cannot_draw() {
        assert_eq!(clean(b"\x1b[2Jgone\r\n"), "[2Jgone");
        assert_eq!(clean("a\u{202e}b".as_bytes()), "ab");
        assert_eq!(clean(&vec![b'x'; 1 << 20]).len(), REASON_CHARS_MAX);
    }
}
