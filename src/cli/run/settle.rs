//! The ends of a run's tasks: counted, written down, printed, judged. The loop that hears of them
//! is drive.rs.

use ganger_proto::ends::EndRow;
use ganger_proto::template::Values;
use ganger_proto::{Outcome, TaskState};

use super::super::error::Result;
use super::super::{out, text};
use super::drive::{Drive, Phase};
use super::halt::{End, Halt};
use super::joblog::Entry;

impl Drive<'_> {
    /// Takes the end of one task.
    pub(super) async fn ended(&mut self, row: EndRow) -> Result<()> {
        let stopped = row.line.state == TaskState::Cancelled;
        if stopped && self.phase != Phase::Starting {
            self.cut_short += 1;
            return self.printer.pass_over(row).await;
        }
        if self.phase == Phase::Cancelling && self.exit.is_some() {
            // `--halt now` has settled everything: what ended since counts for nothing.
            return self.printer.pass_over(row).await;
        }
        let end = self.end_of(&row);
        if let Some(ended) = row.line.ended.as_ref().filter(|_| !end.is_failure()) {
            self.pace.ended(ended.took_us);
        }
        self.write_log(&row, end).await?;
        self.ends.count(end);
        let command = self.said(&row);
        self.printer.take(row).await?;
        self.judge_one(end, &command).await
    }

    fn end_of(&self, row: &EndRow) -> End {
        let stopped = End { code: -1, signal: 15 };
        let never = End { code: -1, signal: 0 };
        match (row.line.state, row.line.ended.as_ref().map(|ended| ended.outcome)) {
            (TaskState::Done, _) => End::default(),
            (_, Some(Outcome::Failed { code })) => End { code, signal: 0 },
            (_, Some(Outcome::Signalled { signal })) => End { code: 0, signal },
            (_, Some(Outcome::TimedOut | Outcome::Cancelled)) => stopped,
            (TaskState::Cancelled, None) => stopped,
            (_, Some(Outcome::Done | Outcome::Lost | Outcome::Unfit) | None) => never,
        }
    }

    fn said(&self, row: &EndRow) -> Vec<u8> {
        let values = Values::new(&self.form, row.argument.as_deref(), row.line.index + 1);
        self.line.shown(&values)
    }

    async fn write_log(&mut self, row: &EndRow, end: End) -> Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        let command = self.said(row);
        let values = Values::new(&self.form, row.argument.as_deref(), row.line.index + 1);
        let number = values.number();
        let received = self.printer.received(row).await?;
        let Some(log) = &mut self.log else { return Ok(()) };
        let took_ms = row.line.ended.as_ref().map_or(0, |ended| ended.took_us / 1_000);
        log.write(&Entry {
            number,
            host: row.line.worker.clone(),
            began_ms: row.at.0.saturating_sub(took_ms),
            took_ms,
            received,
            end,
            command,
        })
    }

    /// Sees whether a task's end stops the run, and says so as GNU parallel does.
    async fn judge_one(&mut self, end: End, command: &[u8]) -> Result<()> {
        if let Halt::When { of, .. } = self.args.halt
            && let Some(what) = of.told(end)
        {
            let command = text::line(&String::from_utf8_lossy(command));
            out::note(&format!("ganger: This job {what}: {command}"));
        }
        self.judge().await
    }

    pub(super) async fn judge(&mut self) -> Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        if let Some((when, exit)) = self.args.halt.verdict(&self.ends) {
            self.exit = Some(exit);
            self.stop(when).await?;
        }
        Ok(())
    }
}
