//! Why connections end: the table of close codes. Sentences for people are made where the code is
//! received, together with what to do.

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
    /// Tells whether dialling again with the same identity cannot help.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Version | Self::Protocol | Self::Unknown | Self::Revoked | Self::Expired
        )
    }
}
