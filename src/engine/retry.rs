//! What follows an attempt's end: another try, an end, and when. Draws from the generator it is
//! given; does not change anything.

use ganger_proto::limits::{LOST_MAX, RELEASES_MAX};
use ganger_proto::{BatchOptions, Outcome, WallMs};

use super::event::{Charge, Next};
use super::task::Task;
use crate::bug::{self, Bug};

/// Returns what is charged and what follows when a worker reports an end.
pub fn after_report(
    task: &Task,
    outcome: Outcome,
    options: &BatchOptions,
    now: WallMs,
    rng: &mut fastrand::Rng,
) -> (Charge, Next) {
    match outcome {
        Outcome::Done => (Charge::Nothing, Next::Done),
        Outcome::Cancelled
        | Outcome::Failed { .. }
        | Outcome::Signalled { .. }
        | Outcome::TimedOut
            if task.is_cancelling() && !bug::is(Bug::CancelForgotten) =>
        {
            (Charge::Nothing, Next::Cancelled)
        }
        Outcome::Failed { .. } | Outcome::Signalled { .. } | Outcome::TimedOut => {
            if task.failures >= options.retries {
                (Charge::Failure, Next::Failed)
            } else {
                let wait = backoff_ms(options, u32::from(task.failures) + 1, rng);
                let charge = match bug::is(Bug::RetryUncharged) {
                    true => Charge::Nothing,
                    false => Charge::Failure,
                };
                (charge, Next::Delayed(now.plus(wait)))
            }
        }
        Outcome::Lost | Outcome::Cancelled => after_loss(task),
        Outcome::Unfit => after_release(task),
    }
}

/// Returns what follows when the task's handler said that another try cannot help.
pub const fn for_good(next: Next) -> Next {
    match next {
        Next::Delayed(_) => Next::Failed,
        Next::Done | Next::Failed | Next::Cancelled | Next::Queued => next,
    }
}

/// Returns what follows when a task's worker vanished while it ran.
pub const fn after_loss(task: &Task) -> (Charge, Next) {
    if task.is_cancelling() {
        (Charge::Loss, Next::Cancelled)
    } else if task.lost() + 1 >= LOST_MAX {
        (Charge::Loss, Next::Failed)
    } else {
        (Charge::Loss, Next::Queued)
    }
}

/// Returns what follows when a task was given back without having run.
pub const fn after_release(task: &Task) -> (Charge, Next) {
    if task.is_cancelling() {
        (Charge::Release, Next::Cancelled)
    } else if task.releases + 1 >= RELEASES_MAX {
        (Charge::Release, Next::Failed)
    } else {
        (Charge::Release, Next::Queued)
    }
}

/// Returns the wait before the next try: `min(cap, base · 2^(n−1))` with full jitter.
fn backoff_ms(options: &BatchOptions, failures: u32, rng: &mut fastrand::Rng) -> u64 {
    let doubled = options.backoff.base_ms.saturating_mul(1 << (failures - 1).min(32));
    rng.u64(0..=doubled.min(options.backoff.cap_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(retries: u8) -> BatchOptions {
        BatchOptions { retries, ..BatchOptions::default() }
    }

    #[test]
    fn tries_run_out() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut after = |failures, retries| {
            let mut task = Task::default();
            task.failures = failures;
            let outcome = Outcome::Failed { code: 1 };
            after_report(&task, outcome, &options(retries), WallMs(0), &mut rng).1
        };
        assert_eq!(after(0, 0), Next::Failed);
        assert!(matches!(after(0, 2), Next::Delayed(_)));
        assert!(matches!(after(1, 2), Next::Delayed(_)));
        assert_eq!(after(2, 2), Next::Failed);
    }

    #[test]
    fn waits_grow_up_to_their_cap() {
        let mut rng = fastrand::Rng::with_seed(1);
        let longest = |n, rng: &mut fastrand::Rng| {
            (0..200).map(|_| backoff_ms(&options(5), n, rng)).max().unwrap_or_default()
        };
        assert!((500..=1_000).contains(&longest(1, &mut rng)));
        assert!((2_000..=4_000).contains(&longest(3, &mut rng)));
        assert!(longest(100, &mut rng) <= 600_000);
    }

    #[test]
    fn a_task_that_kills_its_workers_is_poison() {
        let mut task = Task::default();
        task.set_lost(LOST_MAX - 1);
        assert_eq!(after_loss(&task), (Charge::Loss, Next::Failed));
        assert_eq!(after_loss(&Task::default()), (Charge::Loss, Next::Queued));
    }
}
