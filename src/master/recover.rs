//! From the log to a ledger: the newest snapshot, then every event after it. Checks the digests on
//! the way.

use crate::engine::event;
use crate::engine::ledger::Ledger;
use crate::store::{FencedLog, OpenError, Seq, Term};

/// Bytes of events read at once.
const READ_BYTES: usize = 4 << 20;

/// What a recovery gave.
pub(super) struct Recovered {
    /// The state.
    pub(super) ledger: Ledger,
    /// Batches that were replayed.
    pub(super) batches: u64,
}

/// Rebuilds the ledger.
///
/// # Errors
/// When the log is damaged, or says what this version cannot read.
pub(super) fn recover(log: &mut dyn FencedLog, term: &Term) -> Result<Recovered, OpenError> {
    let (mut ledger, mut at) = match log.snapshot()? {
        Some(snapshot) => {
            let seq = snapshot.seq;
            let ledger = Ledger::restore(snapshot.parts).map_err(|error| {
                OpenError::Damaged(format!(
                    "the snapshot at {} does not load: {error}; run `ganger fsck`",
                    seq.0
                ))
            })?;
            (ledger, seq)
        }
        None => (Ledger::new(), Seq::default()),
    };
    let mut batches = 0;
    while at < term.last {
        let logged = log.read(at, READ_BYTES)?;
        if logged.is_empty() {
            let text =
                format!("the log ends at {} before {}; run `ganger fsck`", at.0, term.last.0);
            return Err(OpenError::Damaged(text));
        }
        for batch in logged {
            let events = event::decode(&batch.data).map_err(|error| {
                let seq = batch.seq.0;
                OpenError::Damaged(format!(
                    "batch {seq} of the log cannot be read: {error}; run `ganger fsck`"
                ))
            })?;
            for event in &events {
                ledger.apply(event);
            }
            if batch.digest.is_some_and(|digest| digest != ledger.digest()) {
                let text = format!(
                    "the state after batch {} is not the one that was written; run `ganger fsck`",
                    batch.seq.0
                );
                return Err(OpenError::Damaged(text));
            }
            at = batch.seq;
            batches += 1;
        }
    }
    ledger.noticed = crate::engine::ledger::Noticed::default();
    Ok(Recovered { ledger, batches })
}
