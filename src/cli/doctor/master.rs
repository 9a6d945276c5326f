//! The master as it is seen from here: whether UDP reaches it, whether it lets us in, how its clock
//! and its release differ from ours.

use std::time::Duration;

use ganger_net::client::Caller;
use ganger_proto::time::HumanMicros;
use ganger_proto::{Reply, Request};

use crate::clock::Clock;
use crate::config::MasterFile;

use super::super::place::Place;
use super::super::reach::{self, Found, Route};
use super::udp::{self, Reached};
use super::{Check, bad, ok, warn};

/// Clocks further apart than this are worth a word, in milliseconds: certificates have ends.
const SKEW_MS_MAX: u64 = 5_000;
/// Clocks further apart than this keep certificates from being taken, in milliseconds: they begin
/// five minutes before they are made.
const SKEW_MS_BAD: u64 = 300_000;
/// How long a master may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses of a master that are asked.
const ADDRESSES_MAX: usize = 4;

/// Looks at the master that is meant.
pub(super) async fn checks(place: &Place, clock: &Clock) -> Vec<Check> {
    let found = reach::find(place);
    let addresses = match &found {
        Ok(Found::Routes(routes)) => addresses(routes),
        Ok(Found::NotRunning) => return vec![not_running(place)],
        // Who is no member yet can see whether packets arrive.
        Err(_) => place.master.iter().cloned().collect(),
    };
    let mut checks = Vec::new();
    let mut answers = false;
    for address in &addresses {
        let reached = udp::reach(address, clock).await;
        answers |= matches!(reached, Reached::Quic { .. });
        checks.push(reachable(address, &reached));
    }
    let routes = match found {
        Ok(Found::Routes(routes)) => routes,
        Ok(Found::NotRunning) => return checks,
        Err(error) => {
            checks.push(bad("master", error.sentence));
            return checks;
        }
    };
    if !answers {
        return checks;
    }
    match tokio::time::timeout(PATIENCE, reach::dial(&routes)).await {
        Ok(Ok((caller, _))) => {
            checks.extend(reached(&caller, clock).await);
            caller.end().await;
        }
        Ok(Err(error)) => checks.push(bad("master", error.sentence)),
        Err(_) => checks.push(bad("master", "it takes packets and does not let us in within 10 s")),
    }
    checks
}

fn addresses(routes: &[Route]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for address in routes.iter().flat_map(|route| &route.addresses) {
        if !all.contains(address) && all.len() < ADDRESSES_MAX {
            all.push(address.clone());
        }
    }
    all
}

fn not_running(place: &Place) -> Check {
    let stale = MasterFile::read(&place.home).is_some();
    let after = if stale { "; the last one ended without a goodbye or was stopped" } else { "" };
    warn("master", format!("none runs for this home{after}; `ganger` starts one"))
}

fn reachable(address: &str, reached: &Reached) -> Check {
    match reached {
        Reached::Quic { rtt_us, .. } => {
            ok("UDP", format!("{address} answers after {}", HumanMicros(*rtt_us)))
        }
        Reached::Closed => bad(
            "UDP",
            format!("nothing listens at {address}; start the master there, or name its port"),
        ),
        Reached::Silent => bad(
            "UDP",
            format!(
                "{address} answers none of three packets; open this UDP port in every firewall \
                 between, and see that the master runs"
            ),
        ),
        Reached::Nowhere(why) => bad("UDP", format!("{address} cannot be asked: {why}")),
    }
}

async fn reached(caller: &Caller, clock: &Clock) -> Vec<Check> {
    let (welcome, session) = (caller.welcome(), caller.session());
    let rtt = HumanMicros(u64::try_from(session.rtt().as_micros()).unwrap_or(u64::MAX));
    let mut checks = vec![ok(
        "master",
        format!(
            "{} {} at {}, over UDP in {rtt}, as {}",
            welcome.cluster,
            welcome.version,
            session.remote(),
            welcome.you
        ),
    )];
    let own = clock.wall();
    checks.push(skew(own.since(welcome.now).max(welcome.now.since(own))));
    if welcome.version != env!("CARGO_PKG_VERSION") {
        let ours = env!("CARGO_PKG_VERSION");
        checks.push(warn(
            "versions",
            format!("this is {ours}, the master is {}; update the older one", welcome.version),
        ));
    }
    match caller.call(Request::Status).await {
        Ok(Reply::Status(status)) => {
            let up = status.gang.up;
            checks.push(if up == 0 {
                warn("workers", "none is connected; `ganger invite` prints the line to join with")
            } else {
                ok("workers", format!("{up} connected"))
            });
            if !status.master.trouble.is_empty() {
                checks.push(bad("store", status.master.trouble));
            }
        }
        Ok(_) => checks.push(bad("workers", "the master's answer does not fit the question")),
        Err(error) => checks.push(bad("workers", format!("the master did not answer: {error}"))),
    }
    checks
}

fn skew(ms: u64) -> Check {
    let seconds = ms / 1_000;
    if ms <= SKEW_MS_MAX {
        return ok("clock", format!("within {ms} ms of the master's"));
    }
    if ms <= SKEW_MS_BAD {
        return warn("clock", format!("{seconds} s apart from the master's; let both run NTP"));
    }
    bad(
        "clock",
        format!(
            "{seconds} s apart from the master's, so that fresh certificates are refused; let both \
             machines run NTP"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    #[test]
    fn clocks_are_judged_by_their_distance() {
        let check = |ms: u64, finding: Finding| assert_eq!(skew(ms).finding, finding, "{ms} ms");
        check(0, Finding::Ok);
        check(5_001, Finding::Warn);
        check(300_001, Finding::Bad);
    }
}
