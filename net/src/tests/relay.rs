//! A relay of packets between a dialler and a rig's master, for what neither end may know.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;

/// Ends when it is dropped.
pub(super) struct Relay {
    /// Where the dialler dials.
    pub(super) address: SocketAddr,
    relaying: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}

impl Relay {
    /// Starts one that the master sees at `from`, and that lets through what the dialler says, and
    /// of what the master says the packets that `lets` is true for.
    pub(super) async fn start(from: IpAddr, rig: &Rig, lets: fn(&[u8]) -> bool) -> Self {
        let front = UdpSocket::bind(loopback(0)).await.unwrap();
        let back = UdpSocket::bind(SocketAddr::new(from, 0)).await.unwrap();
        let (address, master) = (front.local_addr().unwrap(), rig.server.local_addr());
        let relaying = tokio::spawn(async move {
            let (mut there, mut here) = ([0; 2_048], [0; 2_048]);
            let mut dialler = None;
            loop {
                tokio::select! {
                    said = front.recv_from(&mut there) => {
                        let (length, from) = said.unwrap();
                        dialler = Some(from);
                        back.send_to(&there[..length], master).await.unwrap();
                    }
                    said = back.recv_from(&mut here) => {
                        let (length, _) = said.unwrap();
                        if let Some(to) = dialler && lets(&here[..length]) {
                            front.send_to(&here[..length], to).await.unwrap();
                        }
                    }
                }
            }
        });
        Self { address, relaying }
    }
}
