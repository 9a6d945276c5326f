//! Requests whose only answer is that they were done.

use ganger_proto::{Reply, Request};

use super::error::Result;
use super::place::Place;
use super::reach;

/// Sends the request and prints `done`, or `{"ok":true}`.
///
/// # Errors
/// When the master cannot be reached or refuses.
pub(crate) async fn run(place: &Place, request: Request, done: &str) -> Result<()> {
    let caller = reach::connect(place).await?;
    let Reply::Ok = caller.call(request).await? else { return Err(reach::unexpected()) };
    let mut out = place.out();
    if out.is_json() {
        out.json(&serde_json::json!({ "ok": true }))?;
    } else {
        out.line(done)?;
    }
    out.flush()
}
