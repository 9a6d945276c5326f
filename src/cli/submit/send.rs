//! Carries the parts of a submission to the master: several on their way at once, in order, each
//! with the same key so that it can be sent again.

use std::ffi::OsStr;
use std::time::Duration;

use ganger_net::client::{CallError, Caller};
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::{BatchId, Key, Refusal, Reply, Request};

use super::super::error::{CliError, Result};
use super::super::flight::Flight;
use super::super::progress::Progress;
use super::super::source::parts::{Part, Parts};
use super::super::{Exit, reach, text};

/// Parts on their way at once.
const IN_FLIGHT_MAX: usize = 8;
/// How often a busy master is asked again, and how long it may make us wait each time.
const TRIES_MAX: u32 = 20;
const BUSY_MS_MAX: u64 = 5_000;

/// Sends one submission.
pub(super) struct Sender<'a> {
    /// The connection.
    pub(super) caller: &'a Caller,
    /// What makes the submission one.
    pub(super) key: Key,
    /// The key as a person can give it again.
    pub(super) key_text: &'a OsStr,
    /// Tasks in all, when known.
    pub(super) total: Option<u64>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The batch.
    pub(super) batch: BatchId,
    /// Its tasks.
    pub(super) tasks: u64,
    /// Whether the key had been submitted before.
    pub(super) repeated: bool,
}

/// Returns a key that nobody used before.
pub(crate) fn random_key() -> Result<Key> {
    let mut bytes = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).map_err(|_| {
        CliError::failed("the system gives no random bytes for a key; give a --key")
    })?;
    Ok(Key::new(u128::from_be_bytes(bytes)))
}

/// Returns a key text that nobody used before.
pub(super) fn random_key_text() -> Result<String> {
    Ok(format!("{:032x}", random_key()?.raw()))
}

impl Sender<'_> {
    /// Sends `first` and the parts that follow it, and waits until all are durable.
    ///
    /// # Errors
    /// When a part is refused, cannot be read, or the connection ends.
    pub(super) async fn send(
        &self,
        head: SubmitHead,
        first: Option<Part>,
        mut parts: Parts,
    ) -> Result<Sent> {
        let first = first.expect("a source without arguments is an error");
        let mut bar = Progress::new("submitting", self.total);
        let mut last_seen = first.last;
        // The first part makes the batch; the others would be refused before it.
        let mut sent = self.part(0, first, Some(head)).await.map_err(|e| self.told(e, None))?;
        let mut number = 0;
        let mut flight = Flight::default();
        loop {
            while !last_seen && flight.len() < IN_FLIGHT_MAX {
                let Some(part) = parts.next()? else { break };
                last_seen = part.last;
                number += 1;
                flight.push(Box::pin(self.part(number, part, None))).await;
            }
            let Some(next) = flight.next().await else { break };
            let next = next.map_err(|error| self.told(error, Some(sent.batch)))?;
            sent.tasks = sent.tasks.max(next.tasks);
            sent.repeated &= next.repeated;
            bar.set(sent.tasks, self.total);
        }
        Ok(sent)
    }

    /// Sends one part; asks again when the master is busy.
    async fn part(
        &self,
        number: u32,
        part: Part,
        head: Option<SubmitHead>,
    ) -> Result<Sent, CallError> {
        let Part { args, last } = part;
        let head = head.map(Box::new);
        let submit = Submit { key: self.key, part: number, last, head, args };
        let mut tries = 0;
        loop {
            match self.caller.call(Request::Submit(submit.clone())).await {
                Err(CallError::Refused(Refusal::Busy { retry_after_ms })) if tries < TRIES_MAX => {
                    tries += 1;
                    let wait = retry_after_ms.clamp(10, BUSY_MS_MAX);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                Ok(Reply::Submitted { batch, tasks, duplicate }) => {
                    return Ok(Sent { batch, tasks, repeated: duplicate });
                }
                Ok(_) => {
                    let sentence = reach::unexpected().sentence;
                    return Err(CallError::Refused(Refusal::State(sentence)));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Says what is durable and how to go on when the submission broke off.
    fn told(&self, error: CallError, batch: Option<BatchId>) -> CliError {
        let error = CliError::from(error);
        let key = text::line(&self.key_text.to_string_lossy());
        let again = format!("the same command with `--key {key}` goes on where it broke off");
        match (error.exit, batch) {
            (_, Some(batch)) => CliError::new(
                error.exit,
                format!("{}; {batch} is incomplete, {again}", error.sentence),
            ),
            (Exit::Unreachable, None) => {
                CliError::new(error.exit, format!("{}; {again}", error.sentence))
            }
            (Exit::Done | Exit::Failed | Exit::Usage | Exit::Refused | Exit::Damaged, None) => {
                error
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ() {
        let (a, b) = (random_key_text().unwrap(), random_key_text().unwrap());
        assert_eq!(a.len(), 32);
        assert_ne!(a, b);
    }
}
