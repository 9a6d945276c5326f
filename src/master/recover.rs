//! From the log to a ledger: the newest snapshot, then every event after it. Checks the digests on
//! the way.

use crate::engine::event;
use crate::engine::ledger::Ledger;
use crate::store::{FencedLog, OpenError, Seq, Term};

/// Bytes of events read at once.
const READ_BYTES: usize = 4 << 20;

/// What a recovery gave.
#[derive(Debug)]
pub struct Recovered {
    /// The state.
    pub ledger: Ledger,
    /// Batches that were replayed.
    pub batches: u64,
}

/// Rebuilds the ledger.
///
/// # Errors
/// When the log is damaged, or says what this version cannot read.
pub fn recover(log: &mut dyn FencedLog, term: &Term) -> Result<Recovered, OpenError> {
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

#[cfg(test)]
mod tests {
    use ganger_proto::command::{Submit, SubmitHead};
    use ganger_proto::{
        Actor, Args, BatchOptions, Epoch, Key, Kind, Name, Request, Role, Spec, WallMs,
    };

    use super::*;
    use crate::clock::Now;
    use crate::engine::input::{ClientId, Input};
    use crate::engine::{Engine, Settings};
    use crate::store::{Batch, Holder, MemoryLog};

    fn submit(number: u128) -> Input {
        let spec = Spec::of(Kind::Square);
        let head = Some(Box::new(SubmitHead { spec, options: BatchOptions::default() }));
        let args = Args::Range { first: 1, step: 1, count: 5_000 };
        let key = Key::new(number);
        let name = Name::from_lossy("admin");
        Input::Asked {
            client: ClientId(1),
            tag: 1,
            actor: Actor { role: Role::Operator, name, admin: true },
            request: Request::Submit(Submit { key, part: 0, last: true, head, args }),
        }
    }

    /// Feeds the engine and appends what it gave, as the loop does.
    fn turn(engine: &mut Engine, log: &mut MemoryLog, (term, seq): (&Term, Seq), input: Input) {
        let now = Now::default();
        engine.handle(now, input);
        let events = engine.drain(now).events;
        let digest = Some(engine.ledger().digest());
        let data = event::encode(&events);
        let batch = Batch { data, events: events.len() as u64, digest, ..Batch::default() };
        log.append(term, seq, WallMs(1), &[batch]).unwrap();
    }

    #[test]
    fn a_snapshot_and_what_came_after_it_give_the_live_state() {
        let mut log = MemoryLog::new();
        let me = Holder { pid: 1, host: "here".to_owned() };
        let term = log.acquire(&me, WallMs(1)).unwrap();
        let mut engine = Engine::new(Settings::default());
        turn(&mut engine, &mut log, (&term, Seq(1)), Input::Began { epoch: Epoch::new(1) });
        turn(&mut engine, &mut log, (&term, Seq(2)), submit(1));
        let mut parts = engine.ledger().snapshot();
        turn(&mut engine, &mut log, (&term, Seq(3)), submit(2));
        log.install_snapshot(&term, Seq(2), &mut parts).unwrap();
        turn(&mut engine, &mut log, (&term, Seq(4)), submit(3));
        let newest = Term { last: Seq(4), ..term };
        let recovered = recover(&mut log, &newest).unwrap();
        assert_eq!(recovered.batches, 2, "only what the snapshot does not cover is replayed");
        assert_eq!(recovered.ledger.digest(), engine.ledger().digest());
        assert_eq!(recovered.ledger.tally.open(), 15_000);
    }

    #[test]
    fn a_log_that_ends_too_early_is_damaged() {
        let mut log = MemoryLog::new();
        let me = Holder { pid: 1, host: "here".to_owned() };
        let term = log.acquire(&me, WallMs(1)).unwrap();
        let mut engine = Engine::new(Settings::default());
        turn(&mut engine, &mut log, (&term, Seq(1)), Input::Began { epoch: Epoch::new(1) });
        let newest = Term { last: Seq(3), ..term };
        assert!(matches!(recover(&mut log, &newest), Err(OpenError::Damaged(_))));
    }
}
