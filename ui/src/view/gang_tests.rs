//! Pictures of the workers' room: one worker in full, why a task waits, the join dialog, and the
//! header when something is wrong.

use ganger_proto::picture::{Counts, Gang, WorkerState};
use ganger_proto::{Label, PerLane, Picture, Request, Role};

use super::tests::{check, press};
use crate::link::Outbound;
use crate::model::overlay::Overlay;
use crate::sample::{busy, feed, hear, showing};
use crate::update::tests::answer;

#[test]
fn one_worker_in_full() {
    check("worker", labelled, "4jj<enter>");
    check("worker_task", labelled, "4<enter>jj");
    check("workers_labelled", labelled, "4j");
}

#[test]
fn whom_the_master_knows() {
    check("identities", busy, "K");
    check("identities_last", busy, "KG");
}

#[test]
fn why_a_task_waits() {
    check("why", busy, "2jjw");
}

#[test]
fn a_join_line() {
    check("join_new", busy, "J");
    check("join_fault", busy, "J<tab>No Good<enter>");
}

#[test]
fn something_is_wrong() {
    check("all_lost", all_lost, "");
    check("stuck", stuck, "2");
    check("trouble", trouble, "");
    check("drain", busy, "4jD");
}

fn labelled() -> Picture {
    let mut picture = busy();
    let rows = picture.workers.iter_mut().flat_map(|window| &mut window.rows);
    for (row, at) in rows.zip(0..) {
        if at % 2 == 0 {
            row.labels = ["gpu=a100", "zone=eu-west"].map(|l| Label::parse(l).unwrap()).to_vec();
        }
    }
    picture
}

fn all_lost() -> Picture {
    let mut picture = busy();
    picture.gang = Gang { up: 0, draining: 0, lost: 7, slots: 0, busy: 0 };
    picture.master.counts = Counts { running: 0, queued: 12_475, ..picture.master.counts };
    for row in picture.workers.iter_mut().flat_map(|window| &mut window.rows) {
        row.state = WorkerState::Lost;
        (row.slots, row.running, row.waiting) = (0, 0, 0);
        row.busy = PerLane::default();
        row.rtt_us = 0;
    }
    picture
}

fn stuck() -> Picture {
    let mut picture = busy();
    picture.master.stuck = "18 tasks need shell; no worker allows it".to_owned();
    picture
}

fn trouble() -> Picture {
    let mut picture = busy();
    picture.master.trouble = "the disk of ~/.local/share/ganger/store.db is full; free space on \
                              it, nothing is granted meanwhile"
        .to_owned();
    picture
}

#[test]
fn what_is_opened_from_a_worker_comes_back_to_it() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "4j<enter>");
    answer(&mut model);
    let at = |model: &crate::model::Model| match model.overlays.last() {
        Some(Overlay::Worker(page)) => (page.worker.to_string(), page.task),
        other => panic!("{other:?}"),
    };
    let (worker, first) = at(&model);
    assert_eq!(worker, "bravo");
    press(&mut model, "j");
    let (_, second) = at(&model);
    assert!(first.is_some() && second > first, "the cursor moves among what it holds");
    press(&mut model, "<enter>");
    assert!(matches!(model.overlays.last(), Some(Overlay::Details(d)) if Some(d.task) == second));
    press(&mut model, "<esc>D");
    assert!(matches!(model.overlays.last(), Some(Overlay::Confirm(c)) if c.title == "Drain bravo"));
    press(&mut model, "n<esc>");
    assert!(model.overlays.is_empty());
    hear(&mut model, crate::link::Inbound::Picture(Box::new(busy())));
    feed(&mut model, crate::msg::Msg::Second);
}

fn requests(model: &mut crate::model::Model, c: char) -> Vec<Request> {
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(c));
    let effects = feed(model, crate::msg::Msg::Key(key));
    let sent = effects.into_iter().filter_map(|effect| {
        let crate::msg::Effect::Send(Outbound::Request { request, .. }) = effect else {
            return None;
        };
        Some(request)
    });
    sent.collect()
}

#[test]
fn slots_count_on_from_what_was_asked() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "4");
    let slots = |requests: Vec<Request>| match requests.as_slice() {
        [Request::SetSlots { worker, slots }] => format!("{worker} {slots}"),
        other => format!("{other:?}"),
    };
    assert_eq!(slots(requests(&mut model, '+')), "alpha 9");
    assert_eq!(slots(requests(&mut model, '+')), "alpha 10", "no answer has come yet");
    answer(&mut model);
    assert_eq!(slots(requests(&mut model, '-')), "alpha 9");
    let said = |model: &crate::model::Model| model.toast.as_ref().unwrap().text.clone();
    assert!(said(&model).contains("none is stopped"), "{}", said(&model));
    press(&mut model, "G");
    assert!(requests(&mut model, '+').is_empty());
    assert!(said(&model).contains("not connected"), "{}", said(&model));
    assert!(requests(&mut model, 'D').is_empty() && model.overlays.is_empty());
}

#[test]
fn a_line_for_another_role_withdraws_the_unused_one() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "J<enter>");
    answer(&mut model);
    press(&mut model, "<right>");
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Enter);
    let effects = feed(&mut model, crate::msg::Msg::Key(key));
    let invites = effects.into_iter().filter_map(|effect| {
        let crate::msg::Effect::Send(Outbound::Request { request, .. }) = effect else {
            return None;
        };
        let Request::Invite(invite) = request else { return None };
        Some(invite)
    });
    let invites: Vec<_> = invites.map(|invite| (invite.role, invite.replaces)).collect();
    assert_eq!(invites, [(Role::Viewer, Some("i1".to_owned()))]);
    answer(&mut model);
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char('y'));
    let effects = feed(&mut model, crate::msg::Msg::Key(key));
    let copies = |effect: &crate::msg::Effect| {
        let crate::msg::Effect::Copy(text) = effect else { return false };
        text.starts_with("ganger join ")
    };
    assert!(effects.iter().any(copies), "{effects:?}");
}
