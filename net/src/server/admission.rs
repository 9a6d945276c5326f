//! How many handshakes there may be: in all, from one address, and after how many failures. Sees no
//! certificate.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{ADDRESSES_MAX, DoorLimits};

/// Counts the handshakes of one door.
#[derive(Debug)]
pub(super) struct Admission {
    limits: DoorLimits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    unfinished: usize,
    rate: Bucket,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    unfinished: u32,
    failures: Bucket,
}

/// Why a handshake may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Too many in all.
    Busy,
    /// Too many unfinished ones from the address.
    TooMany,
    /// Too many failures from the address.
    TooManyFailures,
}

impl Admission {
    pub(super) fn new(limits: DoorLimits) -> Arc<Self> {
        let rate = Bucket::full(limits.per_second, Instant::now());
        let state = State { unfinished: 0, rate, addresses: HashMap::new() };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// Lets a handshake begin; it counts as unfinished as long as the permit lives.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Result<Permit, Denied> {
        self.enter_at(from, Instant::now())
    }

    fn enter_at(self: &Arc<Self>, from: IpAddr, now: Instant) -> Result<Permit, Denied> {
        let from = block(from);
        let limits = self.limits;
        let mut state = self.state.lock().expect(UNPOISONED);
        if state.unfinished >= limits.unfinished {
            return Err(Denied::Busy);
        }
        if !state.make_room(&from, limits, now) {
            return Err(Denied::Busy);
        }
        let fresh = || Address { unfinished: 0, failures: Bucket::full(limits.failures, now) };
        let address = state.addresses.entry(from).or_insert_with(fresh);
        if address.unfinished >= limits.unfinished_per_address {
            return Err(Denied::TooMany);
        }
        if !address.failures.holds_one(limits.failures, limits.forgiven_per_second, now) {
            return Err(Denied::TooManyFailures);
        }
        if !state.rate.take(limits.per_second, limits.per_second, now) {
            return Err(Denied::Busy);
        }
        state.unfinished += 1;
        if let Some(address) = state.addresses.get_mut(&from) {
            address.unfinished += 1;
        }
        Ok(Permit { admission: self.clone(), from })
    }
}

impl State {
    /// Makes room for one more address; forgets those that nothing is held against.
    fn make_room(&mut self, from: &IpAddr, limits: DoorLimits, now: Instant) -> bool {
        if self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(from) {
            return true;
        }
        self.addresses.retain(|_, address| {
            address.failures.refill(limits.failures, limits.forgiven_per_second, now);
            address.unfinished > 0 || address.failures.level < limits.failures
        });
        self.addresses.len() < ADDRESSES_MAX
    }
}

/// One unfinished handshake.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    from: IpAddr,
}

impl Permit {
    /// Holds a failure against the address.
    pub(super) fn failed(&self) {
        let limits = self.admission.limits;
        let mut state = self.admission.state.lock().expect(UNPOISONED);
        if let Some(address) = state.addresses.get_mut(&self.from) {
            address.failures.take(limits.failures, limits.forgiven_per_second, Instant::now());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock().expect(UNPOISONED);
        state.unfinished = state.unfinished.saturating_sub(1);
        if let Some(address) = state.addresses.get_mut(&self.from) {
            address.unfinished = address.unfinished.saturating_sub(1);
        }
    }
}

/// A bucket that fills with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    const fn full(level: f64, at: Instant) -> Self {
        Self { level, at }
    }

    fn refill(&mut self, size: f64, per_second: f64, now: Instant) {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.level = (self.level + passed.as_secs_f64() * per_second).min(size);
        self.at = now;
    }

    fn holds_one(&mut self, size: f64, per_second: f64, now: Instant) -> bool {
        self.refill(size, per_second, now);
        self.level >= 1.0
    }

    fn take(&mut self, size: f64, per_second: f64, now: Instant) -> bool {
        let holds = self.holds_one(size, per_second, now);
        if holds {
            self.level -= 1.0;
        }
        holds
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 network of 64 bits.
pub(super) fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

const UNPOISONED: &str = "nothing panics while it holds this lock";

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LIMITS: DoorLimits = DoorLimits {
        unfinished: 4,
        unfinished_per_address: 2,
        per_second: 100.0,
        failures: 3.0,
        forgiven_per_second: 1.0,
    };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn unfinished_handshakes_are_bounded_per_address_and_in_all() {
        let door = Admission::new(LIMITS);
        let a = [door.enter(ip("10.0.0.1")).unwrap(), door.enter(ip("10.0.0.1")).unwrap()];
        assert_eq!(door.enter(ip("10.0.0.1")).unwrap_err(), Denied::TooMany);
        assert_eq!(door.enter(ip("::ffff:10.0.0.1")).unwrap_err(), Denied::TooMany);
        let _b = [door.enter(ip("fd00::1")).unwrap(), door.enter(ip("fd00::ffff:1")).unwrap()];
        assert_eq!(door.enter(ip("10.0.0.2")).unwrap_err(), Denied::Busy);
        drop(a);
        assert_eq!(door.enter(ip("fd00::2")).unwrap_err(), Denied::TooMany);
        assert!(door.enter(ip("10.0.0.1")).is_ok());
    }

    #[test]
    fn failures_shut_one_address_out_for_a_while() {
        let door = Admission::new(LIMITS);
        for _ in 0..3 {
            door.enter(ip("10.0.0.1")).unwrap().failed();
        }
        assert_eq!(door.enter(ip("10.0.0.1")).unwrap_err(), Denied::TooManyFailures);
        assert!(door.enter(ip("10.0.0.2")).is_ok());
        let later = Instant::now() + Duration::from_secs(1);
        assert!(door.enter_at(ip("10.0.0.1"), later).is_ok());
    }

    #[test]
    fn the_rate_is_bounded_in_all() {
        let door = Admission::new(DoorLimits { per_second: 2.0, ..LIMITS });
        let now = Instant::now();
        for _ in 0..2 {
            drop(door.enter_at(ip("10.0.0.1"), now).unwrap());
        }
        assert_eq!(door.enter_at(ip("10.0.0.1"), now).unwrap_err(), Denied::Busy);
        assert!(door.enter_at(ip("10.0.0.1"), now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn addresses_that_are_remembered_are_bounded() {
        let door = Admission::new(DoorLimits { unfinished: usize::MAX, ..LIMITS });
        let now = Instant::now();
        let address = |number: usize| IpAddr::from(Ipv4Addr::from_bits(number as u32));
        let mut state = door.state.lock().unwrap();
        for number in 0..ADDRESSES_MAX {
            // Each has a failure held against it, so that it cannot be forgotten.
            let failures = Bucket { level: 2.0, at: now };
            state.addresses.insert(address(number), Address { unfinished: 0, failures });
        }
        drop(state);
        assert_eq!(door.enter_at(address(ADDRESSES_MAX), now).unwrap_err(), Denied::Busy);
        assert!(door.enter_at(address(7), now).is_ok(), "one that is known may come");
        let later = now + Duration::from_secs(2);
        assert!(door.enter_at(address(ADDRESSES_MAX), later).is_ok(), "all is forgiven");
        assert!(door.state.lock().unwrap().addresses.len() < 10);
    }
}
