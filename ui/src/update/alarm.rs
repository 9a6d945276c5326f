//! What is worth calling a person for who looks elsewhere: the queue has run dry, the first failure
//! of a batch, no worker left, a store in trouble. How they are called is in notify.rs.

use ganger_proto::Picture;

use crate::model::Model;
use crate::model::outside::{Alarm, Attention, Busy, Seen};
use crate::msg::Effect;
use crate::text::{counted, cut, grouped};

/// Work that ends sooner was waited for.
const BUSY_MS_MIN: u64 = 10_000;
/// Between two calls.
const QUIET_MS: u64 = 10_000;
/// Columns of a foreign sentence.
const COLUMNS_MAX: usize = 120;

/// Looks at the newest picture, shown or held, and calls when somebody has to know.
pub(super) fn settle(model: &mut Model, out: &mut Vec<Effect>) {
    let now = model.now.mono_ms;
    let alarm = &mut model.outside.alarm;
    if let Some(picture) = model.held.as_deref().or(model.picture.as_deref())
        && alarm.before.is_none_or(|before| before.picture != picture.number)
    {
        look(alarm, picture, now);
    }
    if model.outside.attention == Attention::Here {
        alarm.waiting = None;
    }
    let is_quiet = alarm.told_ms.is_none_or(|told| now.saturating_sub(told) >= QUIET_MS);
    if is_quiet && let Some(text) = alarm.waiting.take() {
        alarm.told_ms = Some(now);
        out.push(Effect::Notify(text));
    }
}

fn look(alarm: &mut Alarm, picture: &Picture, now: u64) {
    let master = &picture.master;
    let counts = &master.counts;
    let seen = Seen {
        picture: picture.number,
        failed: counts.failed,
        workers_up: picture.gang.up,
        in_trouble: !master.trouble.is_empty(),
        newest_batch: master.newest_batch.map_or(0, |batch| batch.raw()),
    };
    let before = alarm.before.replace(seen).unwrap_or(seen);
    let open = counts.open();
    if before.newest_batch != seen.newest_batch || open == 0 && alarm.busy.is_none() {
        alarm.failure_told = false;
    }
    if seen.failed > before.failed && !alarm.failure_told && open > 0 {
        alarm.failure_told = true;
        let rest = counted(open, "task is", "tasks are");
        alarm.waiting = Some(format!("a task failed, {rest} still open"));
    }
    if open > 0 {
        let busy = Busy { since_ms: now, done: counts.done, failed: counts.failed };
        alarm.busy.get_or_insert(busy);
    } else if let Some(busy) = alarm.busy.take()
        && now.saturating_sub(busy.since_ms) >= BUSY_MS_MIN
    {
        let done = grouped(counts.done.saturating_sub(busy.done));
        let failed = grouped(counts.failed.saturating_sub(busy.failed));
        alarm.waiting = Some(format!("the queue is empty: {done} done, {failed} failed"));
    }
    if before.workers_up > 0 && seen.workers_up == 0 && open > 0 {
        let safe = counted(open, "task is", "tasks are");
        alarm.waiting = Some(format!("no worker is left, {safe} safe in the queue"));
    }
    if seen.in_trouble && !before.in_trouble {
        alarm.waiting = Some(cut(&master.trouble, COLUMNS_MAX));
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::BatchId;

    use super::*;
    use crate::link::Inbound;
    use crate::msg::Msg;
    use crate::sample::{busy, feed, pass, showing};

    type Step = (u64, fn(&mut Picture));

    /// Shows pictures one after the other, each some seconds after the one before; returns what
    /// was told.
    fn told(attention: Attention, steps: &[Step]) -> Vec<String> {
        let mut picture = busy();
        picture.master.counts.failed = 0;
        let mut model = showing((80, 24), picture.clone());
        feed(&mut model, Msg::Attention(attention));
        let mut all = Vec::new();
        for (after_ms, change) in steps {
            all.extend(pass(&mut model, *after_ms));
            change(&mut picture);
            picture.number += 1;
            all.extend(feed(&mut model, Msg::Link(Inbound::Picture(Box::new(picture.clone())))));
        }
        all.extend(pass(&mut model, QUIET_MS));
        let text = |effect| if let Effect::Notify(text) = effect { Some(text) } else { None };
        all.into_iter().filter_map(text).collect()
    }

    fn empty(picture: &mut Picture) {
        let counts = &mut picture.master.counts;
        counts.done += counts.open();
        (counts.queued, counts.running, counts.sent) = (0, 0, 0);
        (counts.delayed, counts.blocked) = (0, 0);
    }

    fn fail(picture: &mut Picture) {
        picture.master.counts.failed += 1;
    }

    fn no_workers(picture: &mut Picture) {
        picture.gang.up = 0;
    }

    #[test]
    fn the_end_of_long_work_is_told_once() {
        let said = told(Attention::Away, &[(12_000, empty), (1_000, |_| {})]);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("the queue is empty: ") && said[0].ends_with(" 0 failed"));
        assert_eq!(told(Attention::Away, &[(3_000, empty)]), [""; 0], "short work was waited for");
    }

    #[test]
    fn who_looks_is_not_called() {
        assert_eq!(told(Attention::Here, &[(12_000, empty), (1_000, no_workers)]), [""; 0]);
        assert_eq!(told(Attention::Unknown, &[(12_000, empty)]).len(), 1);
    }

    #[test]
    fn a_frozen_screen_calls_all_the_same() {
        let mut picture = busy();
        let mut model = showing((80, 24), picture.clone());
        crate::view::tests::press(&mut model, "f");
        pass(&mut model, 12_000);
        empty(&mut picture);
        picture.number += 1;
        let effects = feed(&mut model, Msg::Link(Inbound::Picture(Box::new(picture))));
        assert!(model.held.is_some(), "what is shown stays as it was");
        assert!(matches!(effects.as_slice(), [Effect::Notify(_)]), "{effects:?}");
    }

    #[test]
    fn the_first_failure_of_a_batch_is_told() {
        let said = told(Attention::Away, &[(500, fail), (11_000, fail), (11_000, fail)]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("a task failed, "), "{said:?}");
        let next: fn(&mut Picture) = |picture| picture.master.newest_batch = Some(BatchId::new(99));
        let said = told(Attention::Away, &[(500, fail), (11_000, next), (11_000, fail)]);
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn calls_keep_their_distance_and_the_newest_wins() {
        let full: fn(&mut Picture) = |picture| picture.master.trouble = "no space left".to_owned();
        let said = told(Attention::Away, &[(500, fail), (500, no_workers), (500, full)]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("a task failed") && said[1] == "no space left", "{said:?}");
        let said = told(Attention::Away, &[(500, no_workers)]);
        assert!(said[0].starts_with("no worker is left, "), "{said:?}");
    }
}
