//! Strangers that flood a port: packets that are no QUIC or begin a handshake that goes no further,
//! and tokens whose time is over. On a thread and a runtime of their own; they end when they are
//! told, and never send to another place than they were given.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use ganger_net::client::{DialSocket, JoinError, join_on};
use ganger_net::pki::token::Token;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// Packets a second.
pub(super) const PACKETS_PER_S: u32 = 20_000;
/// Tokens a second.
pub(super) const TOKENS_PER_S: u32 = 1_000;
/// Between two bursts: packets and tokens come at an even pace.
const BURST_EVERY: Duration = Duration::from_millis(1);
/// Addresses that packets come from, and as many that tokens come from.
const ADDRESSES: u8 = 16;
/// Tokens that are tried at once; when a master answers slowly, fewer a second are tried.
const TRIES_MAX: usize = 256;
/// Bytes of a packet that begins a handshake; shorter ones no server looks at (RFC 9000, 14.1).
const INITIAL_BYTES: usize = 1_200;

/// The strangers, at work.
pub(super) struct Strangers {
    stop: watch::Sender<bool>,
    packets: JoinHandle<Result<u64>>,
    tokens: JoinHandle<Result<Did>>,
}

/// What they did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Did {
    /// Packets that left.
    pub(super) packets: u64,
    /// Tokens that the master looked at and refused.
    pub(super) answered: u64,
    /// Tokens that it did not look at.
    pub(super) shut_out: u64,
}

impl Strangers {
    /// Lets them begin; `home` is where they keep the key that they join with.
    pub(super) fn start(to: SocketAddr, token: Token, home: &Path) -> Result<Self> {
        let stop = watch::Sender::new(false);
        let (packets_stop, tokens_stop) = (stop.subscribe(), stop.subscribe());
        let folder = home.join("bench-strangers");
        let spawn = std::thread::Builder::new;
        let packets = spawn().name("packets".to_owned());
        let packets = packets.spawn(move || run(send_packets(to, packets_stop)))?;
        let tokens = spawn().name("tokens".to_owned());
        let tokens = tokens.spawn(move || run(try_tokens(token, folder, tokens_stop)))?;
        Ok(Self { stop, packets, tokens })
    }

    /// Ends them; says what they did.
    pub(super) async fn stop(self) -> Result<Did> {
        self.stop.send_replace(true);
        let ended = || anyhow!("the strangers ended badly");
        tokio::task::spawn_blocking(move || {
            let packets = self.packets.join().map_err(|_| ended())??;
            let did = self.tokens.join().map_err(|_| ended())??;
            Ok(Did { packets, ..did })
        })
        .await?
    }
}

fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// An address of the loopback that nobody honest here has.
fn address(group: u8, number: usize) -> IpAddr {
    let last = 1 + u8::try_from(number % usize::from(ADDRESSES)).unwrap_or_default();
    IpAddr::from([127, 9, group, last])
}

/// A pace, from burst to burst.
struct Pace {
    tick: tokio::time::Interval,
    began: Instant,
    per_s: u32,
    done: u64,
}

impl Pace {
    fn of(per_s: u32) -> Self {
        let mut tick = tokio::time::interval(BURST_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { tick, began: Instant::now(), per_s, done: 0 }
    }

    /// Waits for the next burst; returns how many are due. What was missed is made up for.
    async fn next(&mut self) -> u64 {
        self.tick.tick().await;
        let due = (self.began.elapsed().as_secs_f64() * f64::from(self.per_s)) as u64;
        let now = due.saturating_sub(self.done);
        self.done = due;
        now
    }
}

async fn send_packets(to: SocketAddr, stop: watch::Receiver<bool>) -> Result<u64> {
    let sockets: Vec<UdpSocket> = (0..usize::from(ADDRESSES))
        .map(|number| {
            let socket = UdpSocket::bind((address(1, number), 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect::<std::io::Result<_>>()
        .context("a stranger has no address; the loopback of Linux has all of 127/8")?;
    let mut draws = fastrand::Rng::with_seed(1);
    let mut packet = [0; INITIAL_BYTES];
    draws.fill(&mut packet);
    let (mut pace, mut sent) = (Pace::of(PACKETS_PER_S), 0);
    while !*stop.borrow() {
        for _ in 0..pace.next().await {
            let length = change(&mut packet, &mut draws);
            // A full buffer loses it, as a network does.
            let socket = draws.choice(&sockets);
            let left = socket.zip(packet.get(..length));
            let left = left.is_some_and(|(socket, packet)| socket.send_to(packet, to).is_ok());
            sent += u64::from(left);
        }
    }
    Ok(sent)
}

/// Makes the next packet; returns its length. Half of them have the head of one that begins a
/// handshake: version 1, ids drawn anew, no token, and then what nobody can decrypt.
fn change(packet: &mut [u8; INITIAL_BYTES], draws: &mut fastrand::Rng) -> usize {
    const HEAD: [u8; 6] = [0xc3, 0, 0, 0, 1, 20];
    let begins = draws.bool();
    let (head, rest) = packet.split_at_mut(HEAD.len());
    if begins {
        head.copy_from_slice(&HEAD);
    } else {
        draws.fill(head);
    }
    // The destination's id, then a source's id, no token, and the length of the rest.
    let drawn = rest.get_mut(..29).unwrap_or_default();
    draws.fill(drawn);
    if begins && let Some(after) = rest.get_mut(20..32) {
        let (length, source) = (INITIAL_BYTES - HEAD.len() - 32, draws.u64(..));
        after[0] = 8;
        after[1..9].copy_from_slice(&source.to_le_bytes());
        after[9] = 0;
        // A length of two bytes begins with the bits 01 (RFC 9000, 16).
        after[10..12].copy_from_slice(&(0x4000 | length as u16).to_be_bytes());
    }
    if begins { INITIAL_BYTES } else { draws.usize(1..=INITIAL_BYTES) }
}

async fn try_tokens(token: Token, folder: PathBuf, stop: watch::Receiver<bool>) -> Result<Did> {
    let sockets: Vec<DialSocket> = (0..usize::from(ADDRESSES))
        .map(|number| DialSocket::open_at(address(2, number)))
        .collect::<Result<_, _>>()?;
    let (mut pace, mut did) = (Pace::of(TOKENS_PER_S), Did::default());
    let mut tries = JoinSet::new();
    let mut next = 0;
    while !*stop.borrow() {
        for _ in 0..pace.next().await {
            while let Some(tried) = tries.try_join_next() {
                did.count(tried?)?;
            }
            if tries.len() >= TRIES_MAX
                && let Some(tried) = tries.join_next().await
            {
                did.count(tried?)?;
            }
            next += 1;
            let socket = sockets.get(next % sockets.len()).cloned().context("there are some")?;
            let (token, folder) = (token.clone(), folder.clone());
            tries.spawn(async move { join_on(&socket, &token, None, &folder).await.map(drop) });
        }
    }
    // What is under way ends within the time that a join has.
    while let Some(tried) = tries.join_next().await {
        did.count(tried?)?;
    }
    Ok(did)
}

impl Did {
    fn count(&mut self, tried: Result<(), JoinError>) -> Result<()> {
        match tried {
            Err(JoinError::Refused) => self.answered += 1,
            Err(JoinError::Unreachable { .. }) => self.shut_out += 1,
            Ok(()) => return Err(anyhow!("a token whose time is over was taken")),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_packets_begin_a_handshake_and_none_is_the_same() {
        let mut draws = fastrand::Rng::with_seed(1);
        let (mut packet, mut begin, mut seen) = ([0; INITIAL_BYTES], 0, Vec::new());
        for _ in 0..1_000 {
            let length = change(&mut packet, &mut draws);
            assert!((1..=INITIAL_BYTES).contains(&length));
            begin +=
                usize::from(length == INITIAL_BYTES && packet.starts_with(&[0xc3, 0, 0, 0, 1]));
            seen.push(packet[..40].to_vec());
        }
        assert!((400..600).contains(&begin), "{begin} begin a handshake");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
    }
}
