//! Row `flood`: what an honest client and the master's memory feel while strangers flood the port,
//! from addresses of their own, and how soon a revoked worker is gone. Ends by itself. How the
//! strangers flood is in flood/strangers.rs.

mod revoked;
mod strangers;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ganger_net::client::Caller;
use ganger_net::pki::token::Token;
use ganger_proto::command::Invite;
use ganger_proto::{Reply, Request, Role};

use super::figure::{Figure, Report, Wanted};
use super::load::Load;
use super::rig::Rig;
use super::{Bench, What, mib, ms, percentile, probe};
use strangers::{PACKETS_PER_S, Strangers, TOKENS_PER_S};

/// How long the flood lasts when nobody says how long.
const LASTS: Duration = Duration::from_secs(60);
/// Between two single tasks whose latency is measured.
const SINGLE_EVERY: Duration = Duration::from_millis(10);
/// A single that takes so much longer is what the flood costs.
const P99_RATIO: f64 = 2.0;
/// Memory that the flood may cost the master, in MiB.
const MEMORY_MIB: f64 = 64.0;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let lasts = bench.lasts(LASTS);
    let conditions = vec![
        format!("a single task every {} ms", SINGLE_EVERY.as_millis()),
        format!(
            "{} s of {PACKETS_PER_S} packets and {TOKENS_PER_S} bad tokens a second, from other \
             addresses of the loopback, sent by this process",
            lasts.as_secs()
        ),
    ];
    let mut report = bench.report(What::Flood, rig, conditions)?;
    rig.add_workers(1, bench.args.slots).await?;
    let caller = rig.caller().await?;
    let token = expired(&caller).await?;
    let quiet = watch(bench, rig, &caller, lasts / 2).await?;
    let strangers = Strangers::start(rig.address()?.parse()?, token, rig.home())?;
    let flooded = watch(bench, rig, &caller, lasts).await;
    let did = strangers.stop().await?;
    let (mut flooded, mut quiet) = (flooded?, quiet);
    let after = watch(bench, rig, &caller, lasts / 10).await?;
    let revoked = revoked::measure(bench, rig, &caller).await?;
    report.conditions.push(format!(
        "{:.0} packets a second left; {:.0} tokens a second were tried, of which {} in all got an \
         answer and {} found the door shut",
        did.packets as f64 / lasts.as_secs_f64(),
        (did.answered + did.shut_out) as f64 / lasts.as_secs_f64(),
        did.answered,
        did.shut_out
    ));
    let wanted = Wanted::ceiling(P99_RATIO);
    let mut latency = |percent: usize| {
        let (now, before) =
            (percentile(&mut flooded.took_us, percent), percentile(&mut quiet.took_us, percent));
        Figure::new(format!("one task beside a flood, p{percent}"), ms(now), "ms").beside_wanted(
            "before it",
            ms(before),
            wanted,
        )
    };
    report.figures = vec![latency(50), latency(99)];
    let grew = mib(flooded.resident_kib) - mib(quiet.resident_kib);
    report.figures.extend([
        Figure::new("the master's memory, peak of a flood over before", grew, "MiB")
            .wanted(Wanted::ceiling(MEMORY_MIB)),
        Figure::new(
            "the master's memory, after it over before",
            mib(after.resident_kib) - mib(quiet.resident_kib),
            "MiB",
        ),
    ]);
    report.figures.extend(revoked);
    Ok(report)
}

/// What a stretch of time showed.
struct Seen {
    took_us: Vec<u64>,
    /// The most that the master had, in KiB.
    resident_kib: u64,
}

/// Measures single tasks and the master's memory for a time.
async fn watch(bench: &Bench, rig: &Rig, caller: &Caller, time: Duration) -> Result<Seen> {
    let until = bench.clock.micros() + u64::try_from(time.as_micros())?;
    let mut seen = Seen { took_us: Vec::new(), resident_kib: 0 };
    while bench.clock.micros() < until {
        seen.took_us.extend(Load::squares(1).singles(caller, &bench.clock, 1).await?);
        seen.resident_kib = seen.resident_kib.max(probe::resident_kib(rig.master_pid()));
        tokio::time::sleep(SINGLE_EVERY).await;
    }
    Ok(seen)
}

/// Returns a token that is refused: its time is over.
async fn expired(caller: &Caller) -> Result<Token> {
    let invite =
        Invite { role: Role::Worker, name: None, uses: 1, ttl_ms: 1, replaces: None, again: false };
    let Reply::Invited { token, .. } = caller.call(Request::Invite(invite)).await? else {
        bail!("the master did not answer an invite with a token");
    };
    token.parse().context("the master's token cannot be read")
}
