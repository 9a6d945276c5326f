//! Submissions: parts of a batch with a client-made key. A part that comes again changes nothing.

use std::sync::Arc;

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::limits::{
    AFTER_MAX, BATCH_TASKS_MAX, PAYLOAD_BYTES_MAX, QUEUES_MAX, RETRIES_MAX, SUBMIT_TASKS_MAX,
};
use ganger_proto::spec::SpecError;
use ganger_proto::{
    Actor, Args, BatchId, BatchOptions, Kind, QueueName, Refusal, Reply, Spec, SpecId,
};

use super::Engine;
use super::batch::args_bytes;
use super::event::Event;
use crate::clock::Now;

/// Characters of a batch's name.
const NAME_CHARS_MAX: usize = 128;
/// When to try again when the queue is full, in milliseconds.
const FULL_RETRY_MS: u64 = 5_000;

impl Engine {
    pub(super) fn submit(
        &mut self,
        now: Now,
        actor: &Actor,
        submit: Submit,
    ) -> Result<Reply, Refusal> {
        if let Some(batch) = self.ledger.batches.keys.get(&submit.key).copied() {
            return self.submit_part(now, actor, batch, submit);
        }
        let Some(head) = &submit.head else {
            return Err(Refusal::UnknownSubmission { part: submit.part });
        };
        if submit.part != 0 {
            return Err(Refusal::UnknownSubmission { part: submit.part });
        }
        check_head(head)?;
        self.check_queue(&head.options.queue)?;
        self.check_after(actor, &head.options)?;
        check_args(&head.spec, &submit.args)?;
        if submit.args.count() == 0 {
            let text = "there are no tasks to submit; the list of arguments is empty";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        self.check_room(submit.args.count(), submit.args.count())?;
        self.check_memory(&submit.args)?;
        let batch = BatchId::new(self.ledger.next_batch);
        let known = self.ledger.batches.number_of(&head.spec);
        let opened = Event::Opened {
            batch,
            key: submit.key,
            spec: known.unwrap_or(SpecId::new(self.ledger.next_spec)),
            new_spec: known.is_none().then(|| head.spec.clone()),
            options: head.options.clone(),
            owner: actor.clone(),
            at: now.wall,
        };
        self.commit(opened);
        Ok(self.add_part(now, batch, submit))
    }

    fn submit_part(
        &mut self,
        now: Now,
        actor: &Actor,
        batch: BatchId,
        submit: Submit,
    ) -> Result<Reply, Refusal> {
        let known = self.ledger.batches.known(batch);
        if known.owner.name != actor.name || known.owner.role != actor.role {
            let text = "this key was used by somebody else; choose another with --key";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        let tasks = known.tasks;
        if submit.part < known.parts || known.complete {
            return Ok(Reply::Submitted { batch, tasks, duplicate: true });
        }
        if submit.part > known.parts {
            return Err(Refusal::UnknownSubmission { part: submit.part });
        }
        let count = submit.args.count();
        check_args(self.ledger.batches.spec_of(batch), &submit.args)?;
        self.check_room(count, tasks.saturating_add(count))?;
        self.check_memory(&submit.args)?;
        Ok(self.add_part(now, batch, submit))
    }

    fn add_part(&mut self, now: Now, batch: BatchId, submit: Submit) -> Reply {
        let mut args = submit.args;
        if let Args::Listed(list) = &mut args {
            list.shrink();
        }
        let args = Arc::new(args);
        let added = Event::Added { batch, args, last: submit.last, at: now.wall };
        self.commit(added);
        if !self.ledger.batches.known(batch).options.after.is_empty() {
            self.settle(now, batch);
        }
        let tasks = self.ledger.batches.known(batch).tasks;
        Reply::Submitted { batch, tasks, duplicate: false }
    }

    /// A queue is made by its first batch, and is a row of every status from then on.
    fn check_queue(&self, queue: &QueueName) -> Result<(), Refusal> {
        let many = self.ledger.queues.len() >= QUEUES_MAX;
        if many && self.ledger.find_queue(queue).is_none() {
            let text = format!(
                "there are {QUEUES_MAX} queues, which is the limit; use one of them \
                 (`ganger queues` lists them)"
            );
            return Err(Refusal::Invalid(text));
        }
        Ok(())
    }

    /// Batches that it waits for are older, so that none can wait for itself.
    fn check_after(&self, actor: &Actor, options: &BatchOptions) -> Result<(), Refusal> {
        if options.after.len() > AFTER_MAX {
            let text = format!("a batch waits for at most {AFTER_MAX} others");
            return Err(Refusal::Invalid(text));
        }
        match options.after.iter().find(|after| {
            !self.ledger.batches.all.contains_key(&after.batch) || !self.may_see(actor, after.batch)
        }) {
            Some(after) => Err(Refusal::NoBatch(after.batch)),
            None => Ok(()),
        }
    }

    fn check_room(&self, new: u64, of_batch: u64) -> Result<(), Refusal> {
        if self.ledger.is_used_up() {
            let text = "this store has numbered as many reports as it can and takes no more tasks; \
                        stop the master, keep the store under another name and start with a new one";
            return Err(Refusal::State(text.to_owned()));
        }
        if of_batch > BATCH_TASKS_MAX {
            let text =
                format!("a batch has at most {BATCH_TASKS_MAX} tasks; submit several batches");
            return Err(Refusal::Invalid(text));
        }
        let here = self.ledger.tally.open() + self.ledger.tally.ended();
        let limit = self.settings.tasks_max;
        if here.saturating_add(new) > limit {
            return Err(Refusal::QueueFull { limit, retry_after_ms: FULL_RETRY_MS });
        }
        Ok(())
    }

    /// Arguments stay in memory as long as their batch, and a master that starts again needs as
    /// much.
    fn check_memory(&self, args: &Args) -> Result<(), Refusal> {
        let limit = self.settings.bytes_max;
        if self.ledger.batches.bytes.saturating_add(args_bytes(args)) > limit {
            let text = format!(
                "the arguments of all batches take the master's limit of {limit} bytes of memory; \
                 delete finished batches and submit again, or pass paths of files as arguments"
            );
            return Err(Refusal::State(text));
        }
        Ok(())
    }
}

fn check_head(head: &SubmitHead) -> Result<(), Refusal> {
    head.spec.check().map_err(Refusal::Spec)?;
    if head.options.retries > RETRIES_MAX {
        return Err(Refusal::Invalid(format!("a task has at most {RETRIES_MAX} retries")));
    }
    if head.options.name.chars().count() > NAME_CHARS_MAX {
        let text = format!("a batch's name has at most {NAME_CHARS_MAX} characters");
        return Err(Refusal::Invalid(text));
    }
    if head.options.rate.is_some_and(|rate| rate.starts == 0 || rate.per_ms == 0) {
        let text = "a rate has at least one start in at least a millisecond";
        return Err(Refusal::Invalid(text.to_owned()));
    }
    head.options.check_labels().map_err(|error| Refusal::Invalid(error.to_string()))
}

fn check_args(spec: &Spec, args: &Args) -> Result<(), Refusal> {
    if !args.is_sound() {
        let text = "the range's step is 0 or its last value does not fit 64 bits";
        return Err(Refusal::Invalid(text.to_owned()));
    }
    match args {
        Args::Listed(list) => {
            if list.len() > SUBMIT_TASKS_MAX {
                let text = format!("a part of a submission has at most {SUBMIT_TASKS_MAX} tasks");
                return Err(Refusal::Invalid(text));
            }
            let spec = spec.payload_bytes();
            if list.total_bytes() + spec > PAYLOAD_BYTES_MAX
                && let Some(long) = list.iter().map(<[u8]>::len).max()
                && long + spec > PAYLOAD_BYTES_MAX
            {
                return Err(Refusal::Spec(SpecError::Payload { bytes: long + spec }));
            }
        }
        Args::Repeat { count }
            if *count > 0
                && matches!(spec.kind, Kind::Square | Kind::Sleep | Kind::Handler { .. }) =>
        {
            let text = format!("{} needs an argument for each task", spec.kind.word());
            return Err(Refusal::Invalid(text));
        }
        Args::Range { .. } | Args::Repeat { .. } => {}
    }
    Ok(())
}
