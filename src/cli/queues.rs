//! `ganger queues`: the queues, one a line.

use ganger_proto::picture::QueueRow;
use ganger_proto::{Reply, Request};

use super::error::Result;
use super::place::Place;
use super::reach;
use super::table::{Table, number};

/// Prints the queues.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let caller = reach::connect(place).await?;
    let Reply::Queues(rows) = caller.call(Request::Queues).await? else {
        return Err(reach::unexpected());
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&rows)?;
    } else {
        table(&rows).print(&mut out)?;
    }
    out.flush()
}

/// Lays queues out.
pub(crate) fn table(rows: &[QueueRow]) -> Table {
    let mut table = Table::new(&[
        "QUEUE",
        "STATE",
        ">QUEUED",
        ">BLOCKED",
        ">DELAYED",
        ">RUNNING",
        ">DONE",
        ">FAILED",
        ">CANCELLED",
    ]);
    for row in rows {
        let counts = row.counts;
        let mut cells =
            vec![row.name.to_string(), if row.paused { "paused" } else { "open" }.to_owned()];
        let running = counts.sent + counts.running;
        let numbers = [
            counts.queued,
            counts.blocked,
            counts.delayed,
            running,
            counts.done,
            counts.failed,
            counts.cancelled,
        ];
        cells.extend(numbers.map(number));
        table.row(cells);
    }
    table
}
