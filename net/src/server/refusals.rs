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
    counts: Mutex<HashMap<(IpAddr, &'static str), Count>>,
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
        let now = Instant::now();
        let mut counts = self.counts.lock().expect("nothing panics while it holds this lock");
        counts.retain(|_, count| now.saturating_duration_since(count.since) < REFUSALS_FOR);
        if let Some(count) = counts.get_mut(&(from, why)) {
            count.times += 1;
            count.last = now;
        } else if counts.len() < REFUSALS_MAX {
            tracing::warn!(%from, why, "a connection was refused");
            counts.insert((from, why), Count { times: 1, since: now, last: now });
        }
    }

    /// Says in one sentence what was refused in the last minute; empty when nothing was.
    pub(super) fn sentence(&self) -> String {
        let now = Instant::now();
        let mut counts = self.counts.lock().expect("nothing panics while it holds this lock");
        counts.retain(|_, count| now.saturating_duration_since(count.since) < REFUSALS_FOR);
        let mut rows: Vec<_> = counts.iter().map(|((ip, why), count)| (count, ip, why)).collect();
        rows.sort_by_key(|(count, ip, why)| (std::cmp::Reverse(count.last), *ip, *why));
        if rows.is_empty() {
            return String::new();
        }
        let total: u64 = rows.iter().map(|(count, ..)| count.times).sum();
        let named = rows.iter().take(NAMED_MAX);
        let named: Vec<_> =
            named.map(|(count, ip, why)| format!("{} from {ip}: {why}", count.times)).collect();
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
