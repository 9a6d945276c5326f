//! The update as a plain function: keys and messages in, effects out.

use ganger_proto::command::{AttemptRow, Changed, Submit, TaskDetail};
use ganger_proto::{
    Args, BatchId, BatchOptions, Ended, Filter, Kind, LeaseId, Outcome, Refusal, Reply, Request,
    Role, Select, Spec, TaskId, TaskState, WallMs,
};

use super::*;
use crate::link::Inbound;
use crate::model::overlay::Overlay;
use crate::model::{LinkState, Screen};
use crate::sample::{self, NOW, busy, connection, empty, feed, hear, pass, showing};
use crate::view::tests::press;

/// Answers what the model asked for, as a master would.
pub(crate) fn answer(model: &mut Model) {
    let asked: Vec<(u64, Asked)> = model.asked.iter().map(|(t, a)| (*t, a.clone())).collect();
    for (tag, asked) in asked {
        let result = match asked {
            Asked::Welcome | Asked::Join => Ok(Reply::Invited {
                token: format!("ganger1{}", "Vx7Q2nB8".repeat(14)),
                id: "i1".to_owned(),
                expires: WallMs(NOW.0 + 3_592_000),
            }),
            Asked::Show(task) | Asked::EditCopy(task) => Ok(Reply::Task(Box::new(detail(task)))),
            Asked::Part => {
                Ok(Reply::Submitted { batch: BatchId::new(813), tasks: 10, duplicate: false })
            }
            Asked::Count { .. } | Asked::CountRange(_) => {
                Ok(Reply::Tasks { rows: Vec::new(), total: Some(12), next: None })
            }
            Asked::Cancel
            | Asked::CancelWaiting(_)
            | Asked::Delete
            | Asked::Bulk(..)
            | Asked::Retry
            | Asked::Priority(_)
            | Asked::Undo { .. } => {
                Ok(Reply::Changed(Changed { changed: 1, ..Changed::default() }))
            }
            Asked::Pause(_)
            | Asked::Resume(_)
            | Asked::Drain(_)
            | Asked::Undrain(_)
            | Asked::Revoke(_)
            | Asked::StartWorker
            | Asked::Slots { .. }
            | Asked::Export => Ok(Reply::Ok),
            Asked::Worker(name) => Ok(Reply::Worker(Box::new(sample::worker_detail(&name)))),
            Asked::Identities => Ok(Reply::Identities(sample::identities())),
            Asked::Why(task) => Ok(Reply::Why(Box::new(sample::why(task)))),
        };
        hear(model, Inbound::Reply { tag, result });
    }
}

fn detail(task: TaskId) -> TaskDetail {
    let line = ganger_proto::Template::from_text("convert in/{n:04}.png out/{n:04}.png").unwrap();
    let ended = Ended {
        stdout: b"Reading in/0188.png\n 52%\r100%\n".to_vec(),
        stderr: b"\x1b[31mconvert: unable to open image\x1b[0m\x1b]52;c;ZXZpbA==\x07\n".to_vec(),
        has_output: true,
        ..Ended::bare(LeaseId::default(), Outcome::Failed { code: 2 }, 12_200_000)
    };
    TaskDetail {
        row: sample::task(task.raw(), TaskState::Failed),
        index: 187,
        spec: Spec { timeout_ms: 30_000, ..Spec::of(Kind::Shell { line }) },
        options: BatchOptions { name: "thumbs".to_owned(), ..BatchOptions::default() },
        argument: b"188".to_vec(),
        owner: "operator@ada".to_owned(),
        failures: 1,
        lost: 0,
        attempts: vec![AttemptRow { attempt: 1, worker: "foxtrot".to_owned(), at: NOW, ended }],
    }
}

fn requests(effects: &[Effect]) -> Vec<Request> {
    let mut requests = Vec::new();
    for effect in effects {
        if let Effect::Send(Outbound::Request { request, .. }) = effect {
            requests.push(request.clone());
        }
    }
    requests
}

fn key(model: &mut Model, c: char) -> Vec<Effect> {
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(c));
    feed(model, Msg::Key(key))
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

fn submitted(effects: &[Effect]) -> Vec<Submit> {
    let mut parts = Vec::new();
    for request in requests(effects) {
        if let Request::Submit(part) = request {
            parts.push(part);
        }
    }
    parts
}

fn reply(model: &mut Model, result: Result<Reply, Refusal>) -> Vec<Effect> {
    let tag = *model.asked.keys().next_back().unwrap();
    hear(model, Inbound::Reply { tag, result })
}

#[test]
fn ten_random_squares_go_in_with_one_key() {
    let mut model = showing((80, 24), busy());
    let parts = submitted(&key(&mut model, 'I'));
    let [part] = parts.as_slice() else { panic!("one part: {parts:?}") };
    assert!(part.last && part.head.as_ref().unwrap().spec.kind == Kind::Square);
    assert_eq!(part.args.count(), 10);
    reply(&mut model, Ok(Reply::Submitted { batch: BatchId::new(7), tasks: 10, duplicate: false }));
    assert_eq!(toast(&model), "queued 10 × square (batch b7)");
    let again = submitted(&key(&mut model, 'I'));
    assert_ne!(again[0].args, part.args, "fresh numbers");
    assert_ne!(again[0].key, part.key);
}

#[test]
fn undo_takes_back_what_has_not_started_for_eight_seconds() {
    let mut model = showing((80, 24), busy());
    key(&mut model, 'I');
    reply(&mut model, Ok(Reply::Submitted { batch: BatchId::new(7), tasks: 10, duplicate: false }));
    let asked = requests(&key(&mut model, 'u'));
    let filter = Filter::parse("batch:b7 state:queued|delayed|blocked").unwrap();
    assert_eq!(asked, [Request::Cancel { select: Select::Matching(filter), now: false }]);
    reply(&mut model, Ok(Reply::Changed(Changed { changed: 7, ..Changed::default() })));
    assert_eq!(toast(&model), "took back 7 of 10; 3 had started");
    assert!(requests(&key(&mut model, 'u')).is_empty());
    key(&mut model, 'I');
    reply(&mut model, Ok(Reply::Submitted { batch: BatchId::new(8), tasks: 10, duplicate: false }));
    pass(&mut model, 8_000);
    assert!(requests(&key(&mut model, 'u')).is_empty(), "too late");
}

#[test]
fn a_submission_is_sent_again_after_a_lost_connection() {
    let mut model = showing((80, 24), busy());
    let first = submitted(&key(&mut model, 'I'));
    hear(&mut model, Inbound::Lost { reason: "cut".to_owned(), tries: 1, retry_in_ms: 500 });
    assert!(requests(&key(&mut model, 'I')).is_empty());
    let again = submitted(&hear(&mut model, Inbound::Connected(connection())));
    assert_eq!(again, first, "the same key and the same numbers");
}

#[test]
fn a_busy_master_is_asked_again_later_and_a_refusal_ends_it() {
    let mut model = showing((80, 24), busy());
    key(&mut model, 'I');
    let effects = reply(&mut model, Err(Refusal::Busy { retry_after_ms: 500 }));
    assert!(submitted(&effects).is_empty());
    assert_eq!(submitted(&pass(&mut model, 600)).len(), 1);
    reply(&mut model, Err(Refusal::StorageFull));
    assert!(toast(&model).starts_with("nothing was queued: the master's disk"));
    assert!(model.submissions.is_empty());
}

#[test]
fn a_paste_of_many_lines_becomes_a_list() {
    let mut model = showing((120, 36), busy());
    key(&mut model, 'i');
    feed(&mut model, Msg::Paste("wc -l {}".to_owned()));
    feed(&mut model, Msg::Paste("one\ntwo words\nthree\n".to_owned()));
    let parts = {
        let f5 = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::F(5));
        submitted(&feed(&mut model, Msg::Key(f5)))
    };
    let Args::Listed(list) = &parts[0].args else { panic!("a list") };
    let lines: Vec<_> =
        list.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(lines, ["one", "two words", "three"]);
    assert!(model.overlays.is_empty(), "the form closes");
    key(&mut model, 'i');
    assert_eq!(
        model.form.text(crate::model::form::Field::Command),
        "wc -l {}",
        "the draft is kept"
    );
}

#[test]
fn much_is_asked_and_very_much_wants_its_number_typed() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "itrue<up><right><right><tab><tab><home>");
    let clear = crossterm::event::KeyEvent::new(
        crossterm::event::KeyCode::Char('u'),
        crossterm::event::KeyModifiers::CONTROL,
    );
    feed(&mut model, Msg::Key(clear));
    press(&mut model, "1..20000<f5>");
    assert!(matches!(model.overlays.last(), Some(Overlay::Confirm(_))));
    press(&mut model, "<enter>");
    assert!(model.submissions.is_empty(), "Cancel is focused");
    assert!(matches!(model.overlays.last(), Some(Overlay::Inject)), "back to the form");
    press(&mut model, "<f5>y");
    assert_eq!(model.submissions.len(), 1);
    assert!(model.overlays.is_empty());
    press(&mut model, "i<end>00<f5>");
    press(&mut model, "200000<enter>");
    assert_eq!(model.submissions.len(), 1, "not the number");
    press(&mut model, "0<enter>");
    assert_eq!(model.submissions.len(), 2);
}

#[test]
fn form_errors_stand_at_their_fields() {
    use crate::model::form::{Field, Form, FormKind, Source};
    let check = |change: fn(&mut Form), field: Field, part: &str| {
        let mut form = Form::default();
        form.set(Field::Command, "true");
        change(&mut form);
        form.check();
        let errors = form.checked.unwrap_err();
        assert!(errors.iter().any(|(f, why)| *f == field && why.contains(part)), "{errors:?}");
    };
    check(|f| f.set(Field::Command, "  "), Field::Command, "write what to run");
    check(|f| f.set(Field::Command, "echo {n:x}"), Field::Command, "{n:04}");
    check(
        |f| {
            f.kind = FormKind::Exec;
            f.set(Field::Command, "echo 'a");
        },
        Field::Command,
        "quote",
    );
    check(
        |f| {
            f.source = Source::Range;
            f.set(Field::Range, "1..");
        },
        Field::Range,
        "missing",
    );
    check(|f| f.set(Field::Timeout, "soon"), Field::Timeout, "30s");
    check(|f| f.set(Field::Retries, "101"), Field::Retries, "0 to 100");
    check(|f| f.set(Field::Queue, "No!"), Field::Queue, "is not a name");
    check(|f| f.set(Field::Priority, "high"), Field::Priority, "whole number");
    check(
        |f| {
            f.kind = FormKind::Square;
            f.source = Source::List;
            f.list = crate::model::field::Lines::of("1\n\nthree");
        },
        Field::List,
        "line 3: `three`",
    );
    check(
        |f| {
            f.kind = FormKind::Square;
            f.source = Source::Repeat;
        },
        Field::Repeat,
        "needs a value",
    );
}

#[test]
fn marks_are_what_actions_are_about() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "2");
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    press(&mut model, "jjjjj  ");
    let marked: Vec<u64> = match &model.tasks.marks {
        crate::model::marks::Marks::Tasks(tasks) => tasks.keys().map(|task| task.raw()).collect(),
        crate::model::marks::Marks::Matching(_) => panic!("single marks"),
    };
    assert_eq!(marked, [60_533, 60_534]);
    let asked = requests(&key(&mut model, 'c'));
    let tasks = vec![TaskId::new(60_533), TaskId::new(60_534)];
    assert_eq!(asked, [Request::Cancel { select: Select::Tasks(tasks), now: false }]);
    let changed = Changed { changed: 1, asked: 0, ended: 1, refused: 0 };
    reply(&mut model, Ok(Reply::Changed(changed)));
    assert_eq!(toast(&model), "1 cancelled, 1 had finished");
}

#[test]
fn killing_a_running_task_is_asked_about_the_task_it_was() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "2");
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    assert!(requests(&key(&mut model, 'c')).is_empty());
    let mut later = busy();
    later.tasks.as_mut().unwrap().rows.drain(..10);
    hear(&mut model, Inbound::Picture(Box::new(later)));
    assert!(requests(&key(&mut model, 'n')).is_empty());
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    key(&mut model, 'c');
    let asked = requests(&key(&mut model, 'y'));
    let tasks = vec![TaskId::new(60_528)];
    assert_eq!(asked, [Request::Cancel { select: Select::Tasks(tasks), now: false }]);
}

#[test]
fn priorities_rise_from_where_they_are() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "2");
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    let asked = requests(&key(&mut model, '+'));
    let select = Select::Tasks(vec![TaskId::new(60_528)]);
    assert_eq!(asked, [Request::SetPriority { select, priority: 6 }]);
}

#[test]
fn revoking_wants_the_name() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "4Xalph<enter>");
    assert!(model.asked.is_empty());
    let effects = {
        key(&mut model, 'a');
        feed(&mut model, Msg::Key(crossterm::event::KeyCode::Enter.into()))
    };
    let [Request::Revoke { name, role: Role::Worker, .. }] = &requests(&effects)[..] else {
        panic!("a revocation")
    };
    assert_eq!(name.as_str(), "alpha");
}

#[test]
fn the_welcome_mints_one_token_and_replaces_it_when_it_ends() {
    let mut model = sample::connected((80, 24));
    let effects = hear(&mut model, Inbound::Picture(Box::new(empty())));
    let [Request::Invite(invite)] = &requests(&effects)[..] else { panic!("one invite") };
    assert_eq!((invite.uses, invite.ttl_ms, &invite.replaces), (1, 3_600_000, &None));
    answer(&mut model);
    assert!(requests(&hear(&mut model, Inbound::Picture(Box::new(empty())))).is_empty());
    let effects = key(&mut model, 'y');
    let copied = effects.iter().any(|effect| {
        matches!(effect, Effect::Copy(text) if text.starts_with("ganger-worker join ganger1"))
    });
    assert!(copied);
    let effects = pass(&mut model, 3_600_000);
    let [Request::Invite(invite)] = &requests(&effects)[..] else { panic!("another invite") };
    assert_eq!(invite.replaces.as_deref(), Some("i1"));
    reply(&mut model, Err(Refusal::StorageFull));
    assert!(requests(&pass(&mut model, 10_000)).is_empty(), "a refusal is not asked again");
}

#[test]
fn a_viewer_may_look_only() {
    let mut model = sample::connected((120, 36));
    let mut viewer = connection();
    viewer.you.role = Role::Viewer;
    hear(&mut model, Inbound::Connected(viewer));
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    for c in ['I', 'P', 'J'] {
        assert!(requests(&key(&mut model, c)).is_empty());
        assert!(toast(&model).contains("operator"), "{}", toast(&model));
        assert!(model.overlays.is_empty());
    }
    hear(&mut model, Inbound::Picture(Box::new(empty())));
    assert!(model.asked.is_empty(), "no token is minted for a viewer");
}

#[test]
fn the_watch_follows_the_screen_and_is_sent_once() {
    let watches = |effects: &[Effect]| {
        effects.iter().filter(|e| matches!(e, Effect::Send(Outbound::Watch(_)))).count()
    };
    let mut model = showing((120, 36), busy());
    assert_eq!(watches(&hear(&mut model, Inbound::Picture(Box::new(busy())))), 0);
    assert_eq!(watches(&key(&mut model, '2')), 1);
    assert_eq!(watches(&key(&mut model, '2')), 0);
    assert_eq!(watches(&hear(&mut model, Inbound::Connected(connection()))), 1, "sent again");
    assert_eq!(watches(&key(&mut model, '5')), 1);
    assert_eq!(model.watch().log_rows, 1_000);
}

#[test]
fn a_filter_is_live_and_its_errors_keep_the_last_good_one() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "2/state:failed");
    assert_eq!(model.tasks.filter, Filter::parse("state:failed").unwrap());
    press(&mut model, " kind:x");
    assert_eq!(model.tasks.filter, Filter::parse("state:failed").unwrap());
    let Some(Overlay::Filter(line)) = model.overlays.last() else { panic!("still typing") };
    assert_eq!(line.error.as_ref().unwrap().at, 13);
    press(&mut model, "<esc>");
    assert!(model.tasks.filter.is_everything() && model.overlays.is_empty());
}

#[test]
fn q_steps_back_and_leaves_at_the_bottom() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "2");
    assert!(!key(&mut model, 'q').contains(&Effect::Leave));
    assert_eq!(model.screen, Screen::Overview);
    press(&mut model, "?");
    assert!(!key(&mut model, 'q').contains(&Effect::Leave));
    assert!(key(&mut model, 'q').contains(&Effect::Leave));
}

#[test]
fn a_frozen_screen_keeps_its_picture() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "f");
    let mut later = busy();
    later.number = 99;
    hear(&mut model, Inbound::Picture(Box::new(later)));
    assert_eq!(model.picture.as_ref().unwrap().number, 2);
    press(&mut model, "f");
    assert_eq!(model.picture.as_ref().unwrap().number, 99);
}

#[test]
fn without_a_connection_actions_are_off_and_r_tries_again() {
    let mut model = showing((120, 36), busy());
    hear(&mut model, Inbound::Lost { reason: "cut".to_owned(), tries: 2, retry_in_ms: 3_000 });
    assert!(key(&mut model, 'c').iter().all(|e| !matches!(e, Effect::Send(_))));
    assert_eq!(key(&mut model, 'r'), [Effect::Send(Outbound::RetryNow)]);
    hear(&mut model, Inbound::Refused { sentence: "revoked".to_owned() });
    assert!(matches!(model.link, LinkState::Refused(_)));
    assert!(key(&mut model, 'q').contains(&Effect::Leave));
}

#[test]
fn a_question_answered_without_a_connection_does_nothing() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "4D");
    hear(&mut model, Inbound::Lost { reason: "cut".to_owned(), tries: 1, retry_in_ms: 500 });
    assert!(requests(&key(&mut model, 'y')).is_empty());
    assert!(matches!(model.overlays.last(), Some(Overlay::Confirm(_))), "the question stays");
    hear(&mut model, Inbound::Connected(connection()));
    assert_eq!(requests(&key(&mut model, 'y')).len(), 1);
}

#[test]
fn what_has_no_room_cannot_be_acted_on() {
    let mut model = showing((40, 10), busy());
    press(&mut model, "D");
    assert!(model.overlays.is_empty() && model.asked.is_empty(), "no worker is in view");
    let mut model = showing((80, 24), busy());
    press(&mut model, "<tab>");
    assert_eq!(model.pane, crate::model::Pane::Results, "tasks are not drawn here");
    press(&mut model, "<tab>");
    assert_eq!(model.pane, crate::model::Pane::Workers);
}

#[test]
fn toasts_go_away_by_themselves() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "u");
    assert!(!toast(&model).is_empty());
    pass(&mut model, 7_999);
    assert!(!toast(&model).is_empty());
    pass(&mut model, 1);
    assert!(toast(&model).is_empty());
}

#[test]
fn the_quick_line_knows_numbers_from_commands() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "a12<enter>");
    press(&mut model, "aecho 12<enter>");
    let kinds: Vec<_> = model.submissions.iter().map(|s| s.batch.head.spec.kind.word()).collect();
    assert_eq!(kinds, ["square", "shell"]);
}
