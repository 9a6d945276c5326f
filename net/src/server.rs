//! The listening end: accepts joins and authenticated connections on one UDP port.

use std::net::SocketAddr;
use std::sync::Arc;

use ganger_proto::message::Hello;
use ganger_proto::{Name, Role};

use crate::error::CloseCode;
use crate::frame::Inbox;
use crate::pki::authority::Authority;
use crate::session::{Peer, Session};

/// The master's listener. Joins are answered inside; authenticated connections come out.
#[derive(Debug)]
pub struct Server {}

/// An authenticated connection whose first frame has come and fits its role.
#[derive(Debug)]
pub struct Arrival {
    /// Who it is.
    pub peer: Peer,
    /// The connection; nothing has been sent on it yet.
    pub session: Session,
    /// What the peer sends after its hello.
    pub inbox: Inbox,
    /// Its first frame.
    pub hello: Hello,
}

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program has it.
    #[error("port {} is in use by another program; choose another with --listen", address.port())]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl Server {
    /// Listens on a UDP address; `[::]` listens on IPv4 too. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the port is in use or the system refuses it.
    pub fn bind(_listen: SocketAddr, _authority: Arc<Authority>) -> Result<Self, BindError> {
        unimplemented!()
    }

    /// Returns the address in use, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Waits for the next authenticated connection; none after `close`.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn accept(&self) -> Option<Arrival> {
        unimplemented!()
    }

    /// Ends all live connections of an identity at once.
    pub fn kick(&self, _role: Role, _name: &Name, _code: CloseCode, _reason: &str) {
        unimplemented!()
    }

    /// Says in one sentence what was refused lately (aggregated by address and reason); empty when
    /// nothing was.
    pub fn refused_lately(&self) -> String {
        unimplemented!()
    }

    /// Ends all connections with [`CloseCode::Shutdown`] and stops listening.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn close(&self) {
        unimplemented!()
    }
}
