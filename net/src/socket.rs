//! The listener's socket: quinn's own, which hands the system fewer packets at once when thousands
//! are connected. Each connection keeps room for as many packets as it may write at once, idle or
//! not, and that room is most of what an idle one costs.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::limits::{CROWD, CROWD_PACKETS};

/// How many are connected; the listener counts, its socket looks.
pub(crate) type Connected = Arc<AtomicUsize>;

/// A socket that knows how many share it.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    connected: Connected,
}

impl SharedSocket {
    /// Wraps the socket of a listener.
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, connected: Connected) -> Self {
        Self { inner, connected }
    }
}

impl AsyncUdpSocket for SharedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        let most = self.inner.max_transmit_segments();
        let crowded = self.connected.load(Ordering::Relaxed) > CROWD;
        if crowded { most.min(CROWD_PACKETS) } else { most }
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
