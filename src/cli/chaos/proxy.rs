//! A bad network on this machine: a UDP proxy that loses, repeats, delays and holds packets, and
//! moves its callers to other ports. Does not look into a packet.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A proxy before one server. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// When full, whoever asks waits.
    asked: mpsc::Sender<Asked>,
    road: JoinHandle<()>,
}

/// What becomes of packets, each drawn by itself, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Of a hundred packets, how many are lost; with 100 nothing passes.
    pub lost_percent: u8,
    /// Of a hundred packets, how many come twice.
    pub repeated_percent: u8,
    /// Of a hundred packets, how many come late, so that others overtake them.
    pub late_percent: u8,
    /// By how much a late packet is late at most.
    pub late_max: Duration,
    /// How long each packet is on its way.
    pub delay: Duration,
}

impl Weather {
    /// Every packet passes, at once.
    pub const CLEAR: Self = Self {
        lost_percent: 0,
        repeated_percent: 0,
        late_percent: 0,
        late_max: Duration::ZERO,
        delay: Duration::ZERO,
    };

    /// No packet passes.
    pub const CUT: Self = Self { lost_percent: 100, ..Self::CLEAR };

    /// A tenth lost, a tenth overtaken, a tenth repeated, and the way takes five milliseconds.
    pub const BAD: Self = Self {
        lost_percent: 10,
        repeated_percent: 10,
        late_percent: 10,
        late_max: Duration::from_millis(30),
        delay: Duration::from_millis(5),
    };
}

/// What became of packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed on; a repeated one counts twice.
    pub passed: u64,
    /// Lost, by the weather or because too many waited.
    pub lost: u64,
    /// Repeated.
    pub repeated: u64,
    /// Made late.
    pub late: u64,
    /// On their way or held.
    pub waiting: usize,
    /// Callers that have a port of their own towards the server.
    pub callers: usize,
}

impl Proxy {
    /// Starts a proxy to a server on a free port of this machine's loopback. The same seed and the
    /// same packets in the same order meet the same fate. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system opens no socket.
    pub fn start(to: SocketAddr, weather: Weather, seed: u64) -> io::Result<Self> {
        let (here, any): (IpAddr, IpAddr) = if to.is_ipv4() {
            (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into())
        } else {
            (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into())
        };
        let front = open(here)?;
        let address = front.local_addr()?;
        // When it is full the readers wait, and the system loses what its sockets cannot hold.
        let (packets, arrived) = mpsc::channel(ARRIVED_MAX);
        let reader = Reader::spawn(&front, packets.clone(), |from, bytes| {
            Some(Packet { caller: from, way: Way::There, bytes })
        })?;
        let road = Road {
            front,
            _reader: reader,
            packets,
            to,
            from: any,
            lines: HashMap::new(),
            underway: BTreeMap::new(),
            number: 0,
            weather,
            traffic: Traffic::Flows,
            draws: fastrand::Rng::with_seed(seed),
            counts: Counts::default(),
        };
        let (asked, asks) = mpsc::channel(1);
        Ok(Self { address, asked, road: tokio::spawn(road.run(arrived, asks)) })
    }

    /// Returns where callers find it.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what became of packets so far.
    ///
    /// # Errors
    /// When the proxy's runtime has ended.
    pub async fn counts(&self) -> io::Result<Counts> {
        self.ask(Change::Nothing).await
    }

    /// Changes what becomes of packets that arrive after this. Fails as [`Proxy::counts`] does.
    pub async fn change(&self, weather: Weather) -> io::Result<Counts> {
        self.ask(Change::Weather(weather)).await
    }

    /// Holds all packets, those on their way too, until [`Proxy::release`]. Fails as
    /// [`Proxy::counts`] does.
    pub async fn hold(&self) -> io::Result<Counts> {
        self.ask(Change::Traffic(Traffic::Stands)).await
    }

    /// Lets packets flow again; those that were held come at once, in their order. Fails as
    /// [`Proxy::counts`] does.
    pub async fn release(&self) -> io::Result<Counts> {
        self.ask(Change::Traffic(Traffic::Flows)).await
    }

    /// Moves every caller to another port of the address `from`, as a NAT that forgot its table
    /// does, or a machine that came to another network. What is sent to the old ports is lost.
    ///
    /// # Errors
    /// When a socket cannot be opened there: then that caller stays where it was.
    pub async fn rebind(&self, from: IpAddr) -> io::Result<Counts> {
        self.ask(Change::Rebind(from)).await
    }

    async fn ask(&self, change: Change) -> io::Result<Counts> {
        let ended = || io::Error::new(io::ErrorKind::BrokenPipe, "the proxy has ended");
        let (answer, answered) = oneshot::channel();
        self.asked.send(Asked { change, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.road.abort();
    }
}

/// Packets that were read and not looked at yet.
const ARRIVED_MAX: usize = 1_024;
/// Packets on their way or held; what comes beyond is lost.
const UNDERWAY_MAX: usize = 16_384;
/// Callers at once; the one that was silent longest makes room for another.
const CALLERS_MAX: usize = 512;
/// Bytes of a packet; longer ones are cut, and QUIC's never are.
const PACKET_BYTES_MAX: usize = 2_048;

/// What is to change, and who wants to hear that it has.
#[derive(Debug)]
struct Asked {
    change: Change,
    answer: oneshot::Sender<io::Result<Counts>>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Weather(Weather),
    Traffic(Traffic),
    Rebind(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Flows,
    Stands,
}

#[derive(Clone, Debug)]
struct Packet {
    /// Whose it is.
    caller: SocketAddr,
    way: Way,
    bytes: Bytes,
}

/// Where a packet goes: there is the server, back the caller.
#[derive(Clone, Copy, Debug)]
enum Way {
    There,
    Back,
}

/// One caller's side towards the server.
#[derive(Debug)]
struct Line {
    socket: UdpSocket,
    heard: Instant,
    _reader: Reader,
}

/// Reads a socket until it is dropped.
#[derive(Debug)]
struct Reader(JoinHandle<()>);

impl Reader {
    /// Passes on what `packet` makes of what comes, until nobody listens.
    fn spawn(
        socket: &UdpSocket,
        to: mpsc::Sender<Packet>,
        packet: impl Fn(SocketAddr, Bytes) -> Option<Packet> + Send + 'static,
    ) -> io::Result<Self> {
        let socket = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        Ok(Self(tokio::spawn(async move {
            let mut buffer = vec![0; PACKET_BYTES_MAX];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let bytes = buffer.get(..length).map(Bytes::copy_from_slice).unwrap_or_default();
                if let Some(packet) = packet(from, bytes)
                    && to.send(packet).await.is_err()
                {
                    return;
                }
            }
        })))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All that passes through one proxy; one task owns it.
struct Road {
    front: UdpSocket,
    _reader: Reader,
    packets: mpsc::Sender<Packet>,
    to: SocketAddr,
    /// The address that callers have towards the server.
    from: IpAddr,
    lines: HashMap<SocketAddr, Line>,
    /// By when they arrive; the number keeps the order of those that arrive together.
    underway: BTreeMap<(Instant, u64), Packet>,
    number: u64,
    weather: Weather,
    traffic: Traffic,
    draws: fastrand::Rng,
    counts: Counts,
}

impl Road {
    async fn run(mut self, mut arrived: mpsc::Receiver<Packet>, mut asks: mpsc::Receiver<Asked>) {
        loop {
            let first = self.underway.first_key_value().map(|((due, _), _)| *due);
            let due = first.filter(|_| self.traffic == Traffic::Flows);
            let until = due.unwrap_or_else(Instant::now);
            tokio::select! {
                Some(packet) = arrived.recv() => self.take(packet, Instant::now()),
                asked = asks.recv() => {
                    let Some(Asked { change, answer }) = asked else { return };
                    // Whoever asked may be gone.
                    let _gone = answer.send(self.change(change));
                }
                () = tokio::time::sleep_until(until), if due.is_some() => {}
            }
            self.deliver(Instant::now());
        }
    }

    fn change(&mut self, change: Change) -> io::Result<Counts> {
        match change {
            Change::Nothing => {}
            Change::Weather(weather) => self.weather = weather,
            Change::Traffic(traffic) => self.traffic = traffic,
            Change::Rebind(from) => {
                self.from = from;
                for (caller, line) in &mut self.lines {
                    *line = Line::open(from, (*caller, self.to), &self.packets, line.heard)?;
                }
            }
        }
        let (waiting, callers) = (self.underway.len(), self.lines.len());
        Ok(Counts { waiting, callers, ..self.counts })
    }

    /// Draws what becomes of a packet.
    fn take(&mut self, packet: Packet, now: Instant) {
        if self.draw(self.weather.lost_percent) {
            self.counts.lost += 1;
            return;
        }
        let mut copies = 1;
        if self.draw(self.weather.repeated_percent) {
            self.counts.repeated += 1;
            copies = 2;
        }
        for _ in 0..copies {
            let mut due = now + self.weather.delay;
            if self.draw(self.weather.late_percent) {
                self.counts.late += 1;
                due += self.weather.late_max.mul_f64(self.draws.f64());
            }
            if self.underway.len() >= UNDERWAY_MAX {
                self.counts.lost += 1;
                continue;
            }
            self.number += 1;
            self.underway.insert((due, self.number), packet.clone());
        }
    }

    fn draw(&mut self, percent: u8) -> bool {
        self.draws.u8(..100) < percent
    }

    /// Hands on what is due.
    fn deliver(&mut self, now: Instant) {
        while self.traffic == Traffic::Flows
            && let Some(first) = self.underway.first_entry()
            && first.key().0 <= now
        {
            let packet = first.remove();
            // As on any road, a packet that finds no room is lost.
            match self.hand_on(&packet, now) {
                Ok(_) => self.counts.passed += 1,
                Err(_) => self.counts.lost += 1,
            }
        }
    }

    fn hand_on(&mut self, packet: &Packet, now: Instant) -> io::Result<usize> {
        let to = self.to;
        match packet.way {
            Way::There => self.line(packet.caller, now)?.send_to(&packet.bytes, to),
            Way::Back => self.front.send_to(&packet.bytes, packet.caller),
        }
    }

    /// Returns a caller's socket; opens it for a caller that was not heard before.
    fn line(&mut self, caller: SocketAddr, now: Instant) -> io::Result<&UdpSocket> {
        if !self.lines.contains_key(&caller) {
            if self.lines.len() >= CALLERS_MAX {
                let silent = self.lines.iter().min_by_key(|(_, line)| line.heard);
                if let Some(silent) = silent.map(|(caller, _)| *caller) {
                    self.lines.remove(&silent);
                }
            }
            let line = Line::open(self.from, (caller, self.to), &self.packets, now)?;
            self.lines.insert(caller, line);
        }
        let line = self.lines.get_mut(&caller).ok_or(io::ErrorKind::NotConnected)?;
        line.heard = now;
        Ok(&line.socket)
    }
}

impl Line {
    fn open(
        from: IpAddr,
        (caller, server): (SocketAddr, SocketAddr),
        packets: &mpsc::Sender<Packet>,
        heard: Instant,
    ) -> io::Result<Self> {
        let socket = open(from)?;
        let reader = Reader::spawn(&socket, packets.clone(), move |from, bytes| {
            let packet = Packet { caller, way: Way::Back, bytes };
            (from == server).then_some(packet)
        })?;
        Ok(Self { socket, heard, _reader: reader })
    }
}

/// Opens a socket on a free port of an address. A send that would wait fails instead.
fn open(address: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket as Socket;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    struct Ends {
        server: Socket,
        caller: Socket,
        proxy: Proxy,
    }

    fn socket() -> Socket {
        Socket::from_std(open(Ipv4Addr::LOCALHOST.into()).unwrap()).unwrap()
    }

    fn ends(weather: Weather) -> Ends {
        let (server, caller) = (socket(), socket());
        let proxy = Proxy::start(server.local_addr().unwrap(), weather, 7).unwrap();
        Ends { server, caller, proxy }
    }

    async fn heard(socket: &Socket) -> (u32, SocketAddr) {
        let mut packet = [0; 4];
        let received = tokio::time::timeout(LONG, socket.recv_from(&mut packet)).await;
        let (length, from) = received.unwrap().unwrap();
        assert_eq!(length, 4);
        (u32::from_le_bytes(packet), from)
    }

    impl Ends {
        async fn says(&self, number: u32) {
            self.caller.send_to(&number.to_le_bytes(), self.proxy.address()).await.unwrap();
        }

        /// Waits until the proxy has counted this.
        async fn counted(&self, what: impl Fn(&Counts) -> bool) -> Counts {
            let looked = async {
                loop {
                    let counts = self.proxy.counts().await.unwrap();
                    if what(&counts) {
                        return counts;
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(LONG, looked).await.unwrap()
        }
    }

    #[tokio::test]
    async fn in_clear_weather_all_packets_pass_both_ways_in_order() {
        let ends = ends(Weather::CLEAR);
        for number in 0..100 {
            ends.says(number).await;
            let (there, from) = heard(&ends.server).await;
            assert_eq!(there, number);
            ends.server.send_to(&(number + 1).to_le_bytes(), from).await.unwrap();
            assert_eq!(heard(&ends.caller).await, (number + 1, ends.proxy.address()));
        }
        let counts = ends.proxy.counts().await.unwrap();
        assert_eq!(counts, Counts { passed: 200, callers: 1, ..Counts::default() });
    }

    #[tokio::test]
    async fn bad_weather_loses_repeats_and_reorders_as_its_seed_says() {
        const PACKETS: u32 = 1_000;
        let mut runs = Vec::new();
        for _ in 0..2 {
            let ends = ends(Weather::BAD);
            let mut seen = Vec::new();
            for number in 0..PACKETS {
                ends.says(number).await;
                let read = |counts: &Counts| {
                    let copies = counts.lost + counts.passed + counts.waiting as u64;
                    copies - counts.repeated == u64::from(number) + 1
                };
                ends.counted(read).await;
                // A socket holds some hundred, and the kernel drops what comes then.
                if number % 64 == 63 || number + 1 == PACKETS {
                    let counts = ends.counted(|counts| counts.waiting == 0).await;
                    while (seen.len() as u64) < counts.passed {
                        seen.push(heard(&ends.server).await.0);
                    }
                }
            }
            let counts = ends.proxy.counts().await.unwrap();
            assert!((50..200).contains(&counts.lost), "{counts:?}");
            assert!((50..200).contains(&counts.repeated), "{counts:?}");
            assert!(!seen.is_sorted(), "nothing was overtaken");
            seen.sort_unstable();
            runs.push((seen, counts));
        }
        assert_eq!(runs[0], runs[1]);
    }

    #[tokio::test]
    async fn what_is_held_comes_when_it_is_released_and_what_is_cut_does_not() {
        let ends = ends(Weather::CLEAR);
        ends.proxy.hold().await.unwrap();
        for number in 0..3 {
            ends.says(number).await;
        }
        ends.counted(|counts| counts.waiting == 3).await;
        let mut packet = [0; 4];
        let nothing = ends.server.try_recv_from(&mut packet);
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        ends.proxy.release().await.unwrap();
        for number in 0..3 {
            assert_eq!(heard(&ends.server).await.0, number);
        }
        ends.proxy.change(Weather::CUT).await.unwrap();
        ends.says(3).await;
        ends.counted(|counts| counts.lost == 1).await;
        ends.proxy.change(Weather::CLEAR).await.unwrap();
        ends.says(4).await;
        assert_eq!(heard(&ends.server).await.0, 4);
    }

    #[tokio::test]
    async fn a_caller_that_moves_comes_from_another_address_and_is_still_answered() {
        let ends = ends(Weather::CLEAR);
        ends.says(1).await;
        let (_, before) = heard(&ends.server).await;
        ends.proxy.rebind(IpAddr::from([127, 0, 0, 2])).await.unwrap();
        ends.says(2).await;
        let (number, after) = heard(&ends.server).await;
        assert_eq!((number, after.ip()), (2, IpAddr::from([127, 0, 0, 2])));
        assert_ne!(after.port(), before.port());
        // The way back is the new one; what goes to the old port is lost.
        ends.server.send_to(&3_u32.to_le_bytes(), before).await.unwrap();
        ends.server.send_to(&4_u32.to_le_bytes(), after).await.unwrap();
        assert_eq!(heard(&ends.caller).await.0, 4);
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let ends = ends(Weather::CLEAR);
        ends.proxy.hold().await.unwrap();
        for number in 1..=UNDERWAY_MAX as u64 + 10 {
            ends.says(0).await;
            ends.counted(|counts| counts.waiting as u64 + counts.lost == number).await;
        }
        let counts = ends.proxy.counts().await.unwrap();
        assert_eq!((counts.waiting, counts.lost), (UNDERWAY_MAX, 10));
    }

    #[tokio::test]
    async fn callers_are_bounded_and_each_is_answered() {
        let (ends, mut callers) = (ends(Weather::CLEAR), Vec::new());
        for number in 0..CALLERS_MAX as u32 + 5 {
            let caller = socket();
            caller.send_to(&number.to_le_bytes(), ends.proxy.address()).await.unwrap();
            let (_, from) = heard(&ends.server).await;
            ends.server.send_to(&number.to_le_bytes(), from).await.unwrap();
            assert_eq!(heard(&caller).await.0, number);
            callers.push(caller);
        }
        assert_eq!(ends.proxy.counts().await.unwrap().callers, CALLERS_MAX);
    }
}
