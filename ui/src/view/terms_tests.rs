//! Batches that wait for others, handlers, lanes and needs, cell by cell at three sizes: tasks in
//! lists and in full, why they wait, and the form that asks for them.

use ganger_proto::command::TaskDetail;
use ganger_proto::form::{Columns, Paths};
use ganger_proto::place::Need;
use ganger_proto::spec::{After, Rate};
use ganger_proto::why::{Missing, Reason, Why};
use ganger_proto::{
    ArgForm, BatchId, BatchOptions, Kind, Label, Lane, Picture, Placement, Reply, Spec, TaskId,
    TaskState, WallMs,
};

use super::form_tests::ctrl;
use super::tests::{SIZES, draw, press, text};
use crate::Glyphs;
use crate::link::Inbound;
use crate::model::form::{ArgKind, Field, FormKind, Source};
use crate::model::{Asked, Model};
use crate::sample::{NOW, busy, hear, name, result, showing, task};

fn check(called: &str, prepare: impl Fn(&mut Model)) {
    for size in SIZES {
        let mut model = showing(size, busy());
        prepare(&mut model);
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("{called}_{}x{}", size.0, size.1), text(&buffer));
    }
}

/// A task of a handler that asks for all that can be asked for.
fn blocked(id: TaskId) -> TaskDetail {
    let mut row = task(id.raw(), TaskState::Blocked);
    (row.kind, row.command) = ("handler:resize".to_owned(), "resize img/0188.png".to_owned());
    row.attempt = 0;
    let mut spec = Spec::of(Kind::Handler { name: name("resize") });
    spec.place = Placement {
        lane: Some(Lane::Cpu),
        needs: Need::parse_all("cpu=2,mem=4G").unwrap(),
        on: Label::parse_all("gpu=a100").unwrap(),
    };
    spec.output_bytes_max = 8 << 20;
    let options = BatchOptions {
        name: "thumbs".to_owned(),
        after: After::parse_all("b811 b790:any").unwrap(),
        jobs_max: 3,
        rate: Some(Rate::parse("10/s").unwrap()),
        ..BatchOptions::default()
    };
    TaskDetail {
        row,
        index: 187,
        spec,
        options,
        argument: b"img/0188.png".to_vec(),
        owner: "operator@ada".to_owned(),
        failures: 0,
        lost: 0,
        attempts: Vec::new(),
    }
}

/// The same when the batch that it waited for has failed.
fn missed(id: TaskId) -> TaskDetail {
    let mut detail = blocked(id);
    detail.row.state = TaskState::Failed;
    detail.options.after.truncate(1);
    detail
}

/// A task with two columns, a path that is checked, and a number of its own.
fn columns(id: TaskId) -> TaskDetail {
    let mut detail = blocked(id);
    detail.row.state = TaskState::Queued;
    detail.row.kind = "exec".to_owned();
    let names = vec!["file".to_owned(), "size".to_owned()];
    let columns = Columns::Many { count: 2, names };
    let form = ArgForm { columns, numbered: true, paths: Paths::AsSeen };
    detail.argument = b"7\x0052341:1700000000000000000\0in/a b.png\x0064".to_vec();
    let argv = ["convert", "{}"].map(|word| ganger_proto::Template::from_text(word).unwrap());
    detail.spec = Spec { form, ..Spec::of(Kind::Exec { argv: argv.to_vec() }) };
    detail
}

fn tell(model: &mut Model, detail: fn(TaskId) -> TaskDetail) {
    let asked: Vec<(u64, Asked)> = model.asked.iter().map(|(t, a)| (*t, a.clone())).collect();
    for (tag, asked) in asked {
        if let Asked::Show(task) = asked {
            hear(model, Inbound::Reply { tag, result: Ok(Reply::Task(Box::new(detail(task)))) });
        }
    }
}

fn opened(model: &mut Model, keys: &str, detail: fn(TaskId) -> TaskDetail) {
    press(model, "2");
    hear(model, Inbound::Picture(Box::new(busy())));
    press(model, "<enter>");
    press(model, keys);
    tell(model, detail);
}

#[test]
fn a_task_that_waits_for_others() {
    check("blocked_output", |model| opened(model, "", blocked));
    check("blocked_spec", |model| opened(model, "]", blocked));
    check("blocked_attempts", |model| opened(model, "]]", blocked));
    check("blocked_timeline", |model| opened(model, "[", blocked));
    check("columns_spec", |model| opened(model, "]", columns));
}

#[test]
fn a_task_that_never_ran() {
    check("missed_output", |model| opened(model, "", missed));
    check("missed_attempts", |model| opened(model, "]]", missed));
    check("missed_timeline", |model| opened(model, "[", missed));
    check("missed_listed", |model| {
        press(model, "2");
        hear(model, Inbound::Picture(Box::new(failed())));
    });
    check("missed_results", |model| {
        press(model, "3");
        hear(model, Inbound::Picture(Box::new(failed())));
    });
}

/// A batch of which the first tasks never ran.
fn failed() -> Picture {
    let mut picture = busy();
    for row in picture.tasks.iter_mut().flat_map(|window| &mut window.rows).take(3) {
        (row.state, row.worker, row.attempt) = (TaskState::Failed, String::new(), 0);
        (row.kind, row.command) = ("handler:resize".to_owned(), "resize a.png".to_owned());
    }
    for row in picture.results.iter_mut().flat_map(|window| &mut window.rows).take(2) {
        let bare = result(row.task.raw(), "");
        *row = bare;
        (row.state, row.outcome, row.worker) = (TaskState::Failed, None, String::new());
        (row.attempt, row.took_us, row.kind) = (0, 0, "handler".to_owned());
    }
    picture
}

fn why(model: &mut Model, state: TaskState, reasons: Vec<Reason>) {
    press(model, "2");
    hear(model, Inbound::Picture(Box::new(busy())));
    press(model, "w");
    let found = model.asked.iter().find_map(|(tag, asked)| {
        let Asked::Why(task) = asked else { return None };
        Some((*tag, *task))
    });
    let (tag, task) = found.unwrap();
    let why = Why { task, state, at: NOW, reasons };
    hear(model, Inbound::Reply { tag, result: Ok(Reply::Why(Box::new(why))) });
}

fn not_offered(missing: Missing, has: &str, workers: u32) -> Reason {
    Reason::NotOffered { missing, nearest: name("alpha"), has: has.to_owned(), workers }
}

#[test]
fn why_a_task_waits_for_others_or_for_its_turn() {
    check("why_blocked", |model| {
        let by = vec![BatchId::new(811), BatchId::new(790)];
        why(model, TaskState::Blocked, vec![Reason::Blocked { by, open: 12, total: 480 }]);
    });
    check("why_paced", |model| {
        let (batch, rate) = (BatchId::new(812), Rate::parse("1/10s").unwrap());
        let jobs = Reason::Jobs { batch, jobs_max: 3 };
        let rate = Reason::Rate { batch, rate, in_ms: 4_200 };
        why(model, TaskState::Queued, vec![jobs, rate]);
    });
    check("why_missed", |model| {
        let reason = Reason::Missed { task: TaskId::new(60_528), ago_ms: 64_000 };
        why(model, TaskState::Failed, vec![reason]);
    });
    check("why_not_offered", |model| {
        let handler = not_offered(Missing::Handler(name("resize")), "fetch", 6);
        let label = not_offered(Missing::Label(Label::parse("gpu=a100").unwrap()), "", 1);
        why(model, TaskState::Queued, vec![handler, label]);
    });
    check("why_too_little", |model| {
        let memory = Missing::Need(Need::parse("mem=4G").unwrap());
        let processors = Missing::Need(Need::parse("cpu=16").unwrap());
        let lane = not_offered(Missing::Lane(Lane::Io), "", 6);
        let reasons =
            vec![not_offered(memory, "mem=2G", 6), not_offered(processors, "cpu=8", 6), lane];
        why(model, TaskState::Queued, reasons);
    });
}

fn fill(model: &mut Model, field: Field, text: &str) {
    model.form.focus = field;
    press(model, "<end>");
    ctrl(model, 'u');
    press(model, text);
}

/// A form for a handler with all that can be asked for.
fn form(model: &mut Model) {
    let window = model.picture.as_mut().and_then(|picture| picture.workers.as_mut()).unwrap();
    for row in window.rows.iter_mut().take(2) {
        row.labels = Label::parse_all("gpu=a100 zone=eu-west").unwrap();
    }
    press(model, "i");
    model.form.kind = FormKind::Handler;
    model.form.source = Source::List;
    fill(model, Field::Handler, "resize");
    fill(model, Field::List, "a.png<enter>b.png");
    for (field, text) in [
        (Field::On, "gpu=a100"),
        (Field::Needs, "cpu=2,mem=4G"),
        (Field::Jobs, "3"),
        (Field::Rate, "1/10s"),
        (Field::After, "b811, b790:any"),
    ] {
        fill(model, field, text);
    }
}

#[test]
fn the_form_asks_for_handlers_lanes_and_needs() {
    check("form_terms", form);
    check("form_handler", |model| {
        form(model);
        model.form.focus = Field::Handler;
    });
    check("form_labels", |model| {
        form(model);
        model.form.focus = Field::On;
    });
    check("form_terms_errors", |model| {
        form(model);
        fill(model, Field::Handler, "Re size");
        fill(model, Field::On, "gpu");
        fill(model, Field::Needs, "mem=lots");
        fill(model, Field::Jobs, "few");
        fill(model, Field::Rate, "10");
        fill(model, Field::After, "b12:done");
    });
    check("form_lane_error", |model| {
        form(model);
        model.form.focus = Field::Lane;
        press(model, "<right><right>");
    });
    check("form_json", |model| {
        form(model);
        model.form.focus = Field::Form;
        press(model, "<right>");
    });
    let mut model = showing((40, 10), busy());
    form(&mut model);
    for field in model.form.fields() {
        model.form.focus = field;
        let shown = text(&draw(&model, "ansi16", Glyphs::Unicode));
        let typed = if field == Field::Lane {
            "‹ auto ›"
        } else if field == Field::Form {
            "‹ text ›"
        } else {
            model.form.text(field).rsplit(' ').next().unwrap()
        };
        assert!(shown.contains(typed), "{field:?}:\n{shown}");
    }
}

#[test]
fn what_the_form_asks_for_is_what_is_sent() {
    let mut model = showing((120, 36), busy());
    form(&mut model);
    model.form.focus = Field::Lane;
    press(&mut model, "<right>");
    let batch = model.form.checked.clone().unwrap();
    let (spec, options) = (&batch.head.spec, &batch.head.options);
    assert_eq!(spec.kind, Kind::Handler { name: name("resize") });
    assert_eq!(spec.place.lane, Some(Lane::Cpu));
    assert_eq!(spec.place.needs, Need::parse_all("cpu=2,mem=4G").unwrap());
    assert_eq!(spec.place.on, Label::parse_all("gpu=a100").unwrap());
    assert_eq!(options.after, After::parse_all("b811 b790:any").unwrap());
    assert_eq!((options.jobs_max, options.rate), (3, Some(Rate::parse("1/10s").unwrap())));
    assert_eq!((spec.form.columns.clone(), batch.args.count()), (Columns::Text, 2));

    let kept = model.form.kept();
    let back = crate::model::form::Form::recalled(&kept);
    assert_eq!(back.kept(), kept, "drafts, templates and history keep all of it");
    assert_eq!((back.kind, back.lane), (FormKind::Handler, Some(Lane::Cpu)));

    press(&mut model, "<f5>");
    crate::update::tests::answer(&mut model);
    let toast = &model.toast.as_ref().unwrap().text;
    assert_eq!(toast, "queued 2 × handler:resize (batch b813), after b811 and b790");
}

#[test]
fn json_is_read_while_it_is_typed() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "i");
    model.form.kind = FormKind::Handler;
    fill(&mut model, Field::Handler, "resize");
    model.form.args = ArgKind::Json;
    let mut read = |text: &str| {
        fill(&mut model, Field::Value, text);
        let checked = model.form.checked.clone();
        checked.map(|batch| batch.head.spec.form.columns).map_err(|faults| faults[0].1.clone())
    };
    for text in ["12", "\"a.png\"", "{\"width\": 64}", "[1, null]"] {
        assert_eq!(read(text), Ok(Columns::Json), "{text}");
    }
    for text in ["a.png", "{\"width\": }", "1 2", "{'width': 64}"] {
        assert!(read(text).unwrap_err().starts_with("no JSON at column "), "{text}");
    }
    assert!(read("").unwrap_err().starts_with("write JSON, such as"));
}

#[test]
fn only_batches_that_are_there_can_be_waited_for() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "i");
    fill(&mut model, Field::Command, "true");
    fill(&mut model, Field::After, "b811 b813");
    let why = "there is no batch b813; the newest is b812".to_owned();
    assert_eq!(model.form.checked, Err(vec![(Field::After, why)]));
    let mut picture = busy();
    picture.master.newest_batch = Some(BatchId::new(813));
    hear(&mut model, Inbound::Picture(Box::new(picture)));
    press(&mut model, "<f5>");
    assert_eq!(model.submissions.len(), 1, "it is looked at again when it is sent");
}

#[test]
fn a_copy_of_a_task_asks_for_the_same() {
    let mut model = showing((120, 36), busy());
    crate::update::prefill(&mut model, &blocked(TaskId::new(7)));
    let batch = model.form.checked.clone().unwrap();
    let detail = blocked(TaskId::new(7));
    assert_eq!(batch.head.spec.place, detail.spec.place);
    assert_eq!(batch.head.spec.kind, detail.spec.kind);
    assert_eq!(batch.head.options, detail.options);
    assert_eq!(model.form.text(Field::Value), "img/0188.png");

    crate::update::prefill(&mut model, &columns(TaskId::new(7)));
    let Kind::Exec { argv } = model.form.checked.clone().unwrap().head.spec.kind else {
        panic!("{:?}", model.form.checked)
    };
    assert!(argv.len() >= 2 && !argv.iter().any(|word| word.has_value(&ArgForm::default())));
    assert!(model.toast.as_ref().unwrap().text.contains("several columns"));
}

#[test]
fn ascii_has_a_letter_for_blocked_tasks() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "2");
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    let shown = text(&draw(&model, "ansi16", Glyphs::Ascii));
    assert!(shown.contains("b blocked") && !shown.contains('◌'), "{shown}");
    let reason = "gone".to_owned();
    hear(&mut model, Inbound::Lost { reason, tries: 1, retry_in_ms: 500 });
    let shown = text(&draw(&model, "ansi16", Glyphs::Ascii));
    assert!(shown.contains(". reconnecting"), "{shown}");
}

#[test]
fn the_time_that_others_took_is_told_apart() {
    use crate::model::timeline::{Doing, spans};
    let check = |detail: &TaskDetail, expected: &[(Doing, u64)]| {
        let spans = spans(detail, NOW);
        let spans: Vec<_> =
            spans.into_iter().map(|span| (span.what, span.to.since(span.from))).collect();
        assert_eq!(spans, expected);
    };
    let mut detail = blocked(TaskId::new(7));
    check(&detail, &[(Doing::Blocked, 60_000)]);
    detail.row.state = TaskState::Queued;
    detail.row.since = WallMs(NOW.0 - 3_200);
    check(&detail, &[(Doing::Blocked, 56_800), (Doing::Wait, 3_200)]);
    detail.row.state = TaskState::Failed;
    check(&detail, &[(Doing::Blocked, 56_800)]);
}
