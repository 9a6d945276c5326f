//! The screen's stand-in where none can be drawn: a summary every ten seconds, until Ctrl-C.

use std::time::Duration;

use ganger_proto::{Reply, Request};

use super::error::Result;
use super::place::Place;
use super::{reach, status, text};

const EVERY: Duration = Duration::from_secs(10);

/// Prints summaries until the person has enough or the master goes.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let caller = reach::connect_or_start(place).await?;
    let mut out = place.out();
    let mut ticks = tokio::time::interval(EVERY);
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::pin!(ctrl_c);
    loop {
        tokio::select! {
            _ = &mut ctrl_c => return Ok(()),
            _ = ticks.tick() => {}
        }
        let Reply::Status(status) = caller.call(Request::Status).await? else {
            return Err(reach::unexpected());
        };
        if out.is_json() {
            out.json(&status.master)?;
        } else {
            out.line(&status::summary(&status.master))?;
            if !status.master.trouble.is_empty() {
                out.line(&format!("! {}", text::line(&status.master.trouble)))?;
            }
        }
        out.flush()?;
    }
}
