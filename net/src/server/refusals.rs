//! What was refused lately, by address and reason, so that a flood fills neither the log nor the
//! screen. Refuses nothing itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use quinn::ConnectionError;
use tokio::time::Instant;

use super::admission::{Denied, block};
use crate::limits::{REFUSALS_FOR, REFUSALS_MAX};

/// Addresses that the sentence names, the latest first.
const NAMED_MAX: usize = 3;

/// Counts refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: Mutex<HashMap<(Origin, &'static str), Count>>,
}

/// From where; none for all addresses beyond those that are kept.
type Origin = Option<IpAddr>;

/// Whether a refusal goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    First,
    Again,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    times: u64,
    since: Instant,
    last: Instant,
}

impl Refusals {
    /// Counts one; the first of a minute from an address also goes to the log.
    pub(super) fn note(&self, from: IpAddr, why: &'static str) {
        let from = block(from);
        if self.count(from, why, Instant::now()) == Told::First {
            tracing::warn!(%from, why, "a connection was refused");
        }
    }

    fn count(&self, from: IpAddr, why: &'static str, now: Instant) -> Told {
        let mut counts = self.counts.lock().expect("nothing panics while it holds this lock");
        counts.retain(|_, count| now.saturating_duration_since(count.since) < REFUSALS_FOR);
        let full = counts.len() >= REFUSALS_MAX && !counts.contains_key(&(Some(from), why));
        let key = (Some(from).filter(|_| !full), why);
        let count = counts.entry(key).or_insert(Count { times: 0, since: now, last: now });
        count.times += 1;
        count.last = now;
        if count.times == 1 { Told::First } else { Told::Again }
    }

    /// Says in one sentence what was refused in the last minute; empty when nothing was.
    pub(super) fn sentence(&self) -> String {
        let now = Instant::now();
        let mut counts = self.counts.lock().expect("nothing panics while it holds this lock");
        counts.retain(|_, count| now.saturating_duration_since(count.since) < REFUSALS_FOR);
        let mut rows: Vec<_> =
            counts.iter().map(|((from, why), count)| (count, from, why)).collect();
        rows.sort_by_key(|(count, from, why)| (std::cmp::Reverse(count.last), *from, *why));
        if rows.is_empty() {
            return String::new();
        }
        let total: u64 = rows.iter().map(|(count, ..)| count.times).sum();
        let named = rows.iter().take(NAMED_MAX);
        let named = named.map(|(count, from, why)| {
            let from = from.map_or_else(|| "many others".to_owned(), |from| from.to_string());
            format!("{} from {from}: {why}", count.times)
        });
        let named: Vec<_> = named.collect();
        let more = if rows.len() > NAMED_MAX { ", and others" } else { "" };
        format!("{total} refused in the last minute ({}{more})", named.join(", "))
    }
}

/// Says why a handshake failed, in a few words of ours.
pub(super) fn reason(error: &ConnectionError) -> &'static str {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        ConnectionError::TimedOut => return "the handshake was not finished",
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed
        | ConnectionError::VersionMismatch
        | ConnectionError::CidsExhausted => return "the handshake was broken off",
    };
    // TLS alerts travel as 0x100 + alert (RFC 9001, 4.8).
    match code.checked_sub(0x100) {
        Some(42) => "the certificate is malformed",
        Some(43) => "the certificate does not fit a role",
        Some(44) => "the certificate was revoked",
        Some(45) => "the certificate has expired or is not valid yet",
        Some(46 | 48) => "the certificate is another authority's",
        Some(49) => "the certificate is not in the registry",
        Some(116) => "no certificate was shown",
        Some(120) => "the protocol is another",
        Some(_) | None => "the handshake failed",
    }
}

impl Denied {
    /// Says why a handshake was not begun.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Busy => "too many handshakes at once",
            Self::TooMany => "too many unfinished handshakes from there",
            Self::TooManyFailures => "too many failures from there",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_one_line_each_minute() {
        const TIMES: u64 = 20_000;
        let refusals = Refusals::default();
        let now = Instant::now();
        let mut lines = 0;
        for number in 0..TIMES {
            let from = IpAddr::from([10, 0, (number % 20) as u8, (number % 200) as u8]);
            let why = if number % 2 == 0 { "one reason" } else { "another reason" };
            lines += usize::from(refusals.count(from, why, now) == Told::First);
        }
        // Each address and reason that is kept, and one line for each reason beyond.
        assert!(lines <= REFUSALS_MAX + 2, "{lines} lines");
        for number in 0..TIMES {
            let from = IpAddr::from([10, 1, (number / 250) as u8, (number % 250) as u8]);
            lines += usize::from(refusals.count(from, "one reason", now) == Told::First);
        }
        assert!(lines <= REFUSALS_MAX + 2, "{lines} lines");
        assert!(refusals.counts.lock().unwrap().len() <= REFUSALS_MAX + 2);
        let sentence = refusals.sentence();
        assert!(sentence.starts_with("40000 refused in the last minute"), "{sentence}");
        assert!(sentence.len() < 300, "{sentence}");
        // A minute later they are told again.
        let later = now + REFUSALS_FOR;
        assert_eq!(refusals.count(IpAddr::from([10, 0, 0, 1]), "one reason", later), Told::First);
    }
}
