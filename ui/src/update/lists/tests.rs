//! Lists as plain functions: filters, sorts, marks and what is done to many.

use ganger_proto::command::Changed;
use ganger_proto::picture::{Direction, Order, Sort, SortKey};
use ganger_proto::{Filter, Reply, Request, Select, TaskId, TaskState};

use super::{apply_filter, sort_by, toggle_column};
use crate::link::Inbound;
use crate::model::Screen;
use crate::model::marks::Marks;
use crate::model::overlay::Overlay;
use crate::sample::{busy, feed, hear, showing};
use crate::update::*;
use crate::view::tests::press;

/// A model on the screen of tasks, with rows.
fn tasks() -> Model {
    on("2")
}

fn on(screen: &str) -> Model {
    let mut model = showing((120, 36), busy());
    press(&mut model, screen);
    refresh(&mut model);
    model
}

fn refresh(model: &mut Model) {
    hear(model, Inbound::Picture(Box::new(busy())));
}

fn sent(effects: &[Effect]) -> Vec<Request> {
    let mut requests = Vec::new();
    for effect in effects {
        if let Effect::Send(Outbound::Request { request, .. }) = effect {
            requests.push(request.clone());
        }
    }
    requests
}

fn key(model: &mut Model, c: char) -> Vec<Request> {
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(c));
    sent(&feed(model, Msg::Key(key)))
}

fn enter(model: &mut Model) -> Vec<Request> {
    sent(&feed(model, Msg::Key(crossterm::event::KeyCode::Enter.into())))
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

fn reply(model: &mut Model, reply: Reply) {
    let tag = *model.asked.keys().next_back().unwrap();
    hear(model, Inbound::Reply { tag, result: Ok(reply) });
}

/// Answers the counts of a bulk action, by state.
fn count(model: &mut Model, counts: &[(TaskState, u64)]) {
    let asked: Vec<_> = model.asked.iter().map(|(tag, asked)| (*tag, asked.clone())).collect();
    for (tag, asked) in asked {
        if let Asked::Count { state, .. } = asked {
            let total = counts.iter().find(|(s, _)| *s == state).map_or(0, |(_, count)| *count);
            let result = Ok(Reply::Tasks { rows: Vec::new(), total: Some(total), next: None });
            hear(model, Inbound::Reply { tag, result });
        }
    }
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

fn question(model: &Model) -> String {
    match model.overlays.last() {
        Some(Overlay::Confirm(question)) => {
            let typed = question.typed.as_ref().map_or("", |typed| &typed.expected);
            format!("{} | {} | {typed}", question.title, question.lines.join(" "))
        }
        other => panic!("no question: {other:?}"),
    }
}

#[test]
fn rows_of_an_earlier_filter_neither_flash_nor_are_acted_on() {
    let mut model = tasks();
    let old = model.watch_number;
    press(&mut model, "/state:failed<enter>");
    let mut late = busy();
    late.watch = old;
    late.tasks.as_mut().unwrap().rows.truncate(1);
    feed(&mut model, Msg::Link(Inbound::Picture(Box::new(late.clone()))));
    assert_eq!(model.task_rows().len(), 40, "the rows in view stay until the answer");
    assert!(key(&mut model, 'c').is_empty() && model.overlays.is_empty());
    assert!(toast(&model).contains("on its way"), "{}", toast(&model));
    late.watch = model.watch_number;
    feed(&mut model, Msg::Link(Inbound::Picture(Box::new(late))));
    assert_eq!(model.task_rows().len(), 1);
    press(&mut model, "c");
    assert!(question(&model).starts_with("Cancel task 60 528"));
}

#[test]
fn tab_completes_keys_and_values() {
    let mut model = tasks();
    press(&mut model, "/sta<tab>fai<tab> wor<tab>br<tab>");
    assert_eq!(model.tasks.filter, filter("state:failed worker:bravo"));
    press(&mut model, "<enter>/<backspace>");
    assert_eq!(model.tasks.filter_text, "state:failed worker:brav");
}

#[test]
fn an_empty_line_is_left_with_backspace_and_earlier_filters_come_back() {
    let mut model = tasks();
    press(&mut model, "/kind:exec<enter><esc>");
    assert!(model.tasks.filter.is_everything());
    press(&mut model, "/<up>");
    assert_eq!(model.tasks.filter, filter("kind:exec"));
    press(&mut model, "<down><backspace>");
    assert!(model.tasks.filter.is_everything() && model.overlays.is_empty());
}

#[test]
fn the_state_chip_goes_round_and_keeps_the_other_terms() {
    let mut model = tasks();
    press(&mut model, "/kind:exec<enter>");
    let mut seen = Vec::new();
    for _ in 0..8 {
        press(&mut model, ".");
        seen.push(model.tasks.filter_text.clone());
    }
    assert_eq!(seen[0], "state:queued kind:exec");
    assert_eq!(seen[2], "state:failed kind:exec");
    assert_eq!(seen[5], "state:blocked kind:exec");
    assert_eq!(seen[7], "kind:exec");
}

#[test]
fn a_sort_lasts_and_is_turned_round() {
    let mut model = tasks();
    let order = |model: &Model| model.watch().tasks.unwrap().order;
    press(&mut model, "st");
    let falling = Sort { key: SortKey::Tries, direction: Direction::Falling };
    assert_eq!(order(&model), Order::By(falling));
    press(&mut model, "S");
    assert_eq!(order(&model), Order::By(Sort { direction: Direction::Rising, ..falling }));
    assert_eq!(model.kept.lists["tasks"].sort, "tries rising");
    press(&mut model, "3");
    assert_eq!(model.watch().results.unwrap().order, Order::Latest, "each list has its own");
    press(&mut model, "/kind:exec<enter>");
    let newest = Sort { key: SortKey::Since, direction: Direction::Falling };
    assert_eq!(model.watch().results.unwrap().order, Order::By(newest));
    press(&mut model, "2si");
    assert_eq!(order(&model), crate::model::list::BY_ID);
    assert!(sort_by(&mut model, "colour").unwrap_err().contains("priority"));
}

#[test]
fn what_is_remembered_sorts_and_hides() {
    let mut model = tasks();
    press(&mut model, "C<enter>");
    let kept = model.kept.clone();
    assert_eq!(kept.lists["tasks"].hidden, ["state"]);
    assert!(toggle_column(&mut model, "nothing").unwrap_err().contains("STATE"));
    let mut later = showing((120, 36), busy());
    later.kept.lists.entry("tasks".to_owned()).or_default().sort = "took rising".to_owned();
    press(&mut later, "2");
    let rising = Sort { key: SortKey::Took, direction: Direction::Rising };
    assert_eq!(later.watch().tasks.unwrap().order, Order::By(rising));
}

#[test]
fn filters_are_saved_with_their_sort_and_forgotten() {
    let ctrl_s = |model: &mut Model| {
        let key = crossterm::event::KeyEvent::new(
            crossterm::event::KeyCode::Char('s'),
            crossterm::event::KeyModifiers::CONTROL,
        );
        feed(model, Msg::Key(key));
    };
    let mut model = tasks();
    ctrl_s(&mut model);
    assert!(model.overlays.is_empty() && toast(&model).contains("set a filter"));
    press(&mut model, "/state:failed<enter>so");
    ctrl_s(&mut model);
    press(&mut model, "sslow ones<enter>");
    assert_eq!(model.kept.filters["slow ones"], "state:failed sort:took-falling");
    press(&mut model, "<esc>si");
    assert!(model.tasks.filter.is_everything() && model.tasks.is_natural());
    ctrl_s(&mut model);
    press(&mut model, "<enter>");
    assert_eq!(model.tasks.filter, filter("state:failed"));
    assert_eq!(model.kept.lists["tasks"].sort, "took falling");
    ctrl_s(&mut model);
    press(&mut model, "x<enter>");
    assert!(model.kept.filters.is_empty());
    assert!(apply_filter(&mut model, "colour:red").unwrap_err().contains("keys"));
}

#[test]
fn a_range_is_marked_from_the_last_mark_to_the_cursor() {
    let mut model = tasks();
    press(&mut model, " jjv");
    let Marks::Tasks(marks) = &model.tasks.marks else { panic!("single marks") };
    let ids: Vec<u64> = marks.keys().map(|task| task.raw()).collect();
    assert_eq!(ids, [60_528, 60_529, 60_530, 60_531]);
    press(&mut model, "<esc>");
    assert!(model.tasks.marks.is_empty());
}

#[test]
fn a_range_beyond_the_rows_here_is_marked_by_ids_on_the_master() {
    let mut model = tasks();
    press(&mut model, "/kind:exec<enter>");
    refresh(&mut model);
    press(&mut model, "v");
    let mut far = busy();
    for row in &mut far.tasks.as_mut().unwrap().rows {
        row.task = TaskId::new(row.task.raw() + 5_000);
    }
    hear(&mut model, Inbound::Picture(Box::new(far)));
    model.tasks.go_first();
    let asked = key(&mut model, 'v');
    let [Request::List { filter: counted, rows: 0, .. }] = asked.as_slice() else {
        panic!("it is counted: {asked:?}")
    };
    assert_eq!(*counted, filter("kind:exec id:60528..65528"));
    reply(&mut model, Reply::Tasks { rows: Vec::new(), total: Some(4_321), next: None });
    assert_eq!(model.tasks.marks.count(model.tasks.total), Some(4_321));
    press(&mut model, "c");
    count(&mut model, &[(TaskState::Queued, 4_000)]);
    let asked = key(&mut model, 'y');
    let all = filter("kind:exec id:60528..65528 state:queued|delayed|blocked|sent|running");
    assert_eq!(asked, [Request::Cancel { select: Select::Matching(all), now: false }]);
}

#[test]
fn all_that_match_are_counted_before_anybody_is_asked() {
    let mut model = tasks();
    press(&mut model, "A");
    let asked = key(&mut model, 'c');
    assert_eq!(asked.len(), 5, "a count for each open state");
    assert!(key(&mut model, 'y').is_empty(), "not before it is known what is lost");
    let counts =
        [(TaskState::Queued, 12_191), (TaskState::Blocked, 240), (TaskState::Running, 1_044)];
    count(&mut model, &counts);
    let text = question(&model);
    assert!(text.contains("Cancel 13 475 tasks"), "{text}");
    assert!(text.contains("1 044 running tasks get TERM"), "{text}");
    assert!(text.contains("12 431 waiting tasks leave the queue (240 blocked, 12 191 queued)"));
    assert!(text.ends_with("| 13475"), "the number is typed: {text}");
    press(&mut model, "13475");
    let asked = enter(&mut model);
    let open = filter("state:queued|delayed|blocked|sent|running");
    assert_eq!(asked, [Request::Cancel { select: Select::Matching(open), now: false }]);
    assert!(model.tasks.marks.is_empty());
    let changed = Changed { changed: 12_000, asked: 1_044, ended: 0, refused: 0 };
    reply(&mut model, Reply::Changed(changed));
    assert_eq!(toast(&model), "12 000 cancelled, 1 044 asked to stop, 431 had finished meanwhile");
}

#[test]
fn nothing_to_do_opens_no_question() {
    let mut model = tasks();
    press(&mut model, "R");
    count(&mut model, &[]);
    assert!(model.overlays.is_empty(), "{:?}", model.overlays);
    assert!(toast(&model).starts_with("none of them"), "{}", toast(&model));
    press(&mut model, "R<esc>");
    count(&mut model, &[(TaskState::Failed, 3)]);
    assert!(model.overlays.is_empty(), "a question that was left does not come back");
}

#[test]
fn inverted_marks_leave_tasks_out_on_the_master() {
    let mut model = tasks();
    press(&mut model, "  *d");
    count(&mut model, &[(TaskState::Done, 5)]);
    let asked = key(&mut model, 'y');
    let but = filter("-id:60528..60529 state:done|failed|cancelled");
    assert_eq!(asked, [Request::Delete { select: Select::Matching(but) }]);
    let mut model = tasks();
    press(&mut model, &" j".repeat(18));
    model.tasks.set_filter(filter(&"kind:exec ".repeat(20)), "many terms".to_owned());
    press(&mut model, "*");
    assert!(matches!(model.tasks.marks, Marks::Tasks(_)), "they stay");
    assert!(toast(&model).contains("cannot be left out"), "{}", toast(&model));
}

#[test]
fn the_whole_history_wants_its_number() {
    let mut model = on("3");
    press(&mut model, "Ad");
    count(
        &mut model,
        &[(TaskState::Done, 48_057), (TaskState::Failed, 19), (TaskState::Cancelled, 2)],
    );
    let text = question(&model);
    assert!(text.contains("the whole history") && text.ends_with("| 48078"), "{text}");
}

#[test]
fn deleting_one_ended_task_says_what_is_lost() {
    let mut model = on("3");
    press(&mut model, "jd");
    assert!(question(&model).contains("output are lost"));
    let asked = key(&mut model, 'y');
    assert_eq!(asked, [Request::Delete { select: Select::Tasks(vec![TaskId::new(60_527)]) }]);
    let mut model = tasks();
    press(&mut model, "d");
    assert!(model.overlays.is_empty() && toast(&model).contains("only ended"));
}

#[test]
fn a_cancel_of_what_waited_is_taken_back_when_all_of_it_was_cancelled() {
    let mut model = tasks();
    press(&mut model, "jjjjjjj  c");
    reply(&mut model, Reply::Changed(Changed { changed: 2, ..Changed::default() }));
    let back = vec![TaskId::new(60_535), TaskId::new(60_536)];
    assert_eq!(key(&mut model, 'u'), [Request::Retry { select: Select::Tasks(back) }]);
    let mut model = tasks();
    press(&mut model, "jjjjjjj  c");
    reply(&mut model, Reply::Changed(Changed { changed: 1, ended: 1, ..Changed::default() }));
    assert!(key(&mut model, 'u').is_empty(), "a retry would also run again what had ended");
    let mut model = tasks();
    press(&mut model, "jjjjj  c");
    reply(&mut model, Reply::Changed(Changed { changed: 2, ..Changed::default() }));
    assert!(key(&mut model, 'u').is_empty(), "a retry would run what waits for another batch");
}

#[test]
fn all_marked_get_the_priority_that_is_typed() {
    let mut model = tasks();
    press(&mut model, "A+x<enter>");
    assert!(toast(&model).contains("whole number"));
    press(&mut model, "+12<enter>");
    count(&mut model, &[(TaskState::Queued, 7)]);
    let open = filter("state:queued|delayed|blocked|sent|running");
    let expected = Request::SetPriority { select: Select::Matching(open), priority: 12 };
    assert_eq!(key(&mut model, 'y'), [expected]);
}

#[test]
fn g_leads_to_worker_batch_and_task() {
    let mut model = tasks();
    press(&mut model, "jgw");
    assert_eq!(model.screen, Screen::Workers);
    assert_eq!(model.worker_row().unwrap().name.as_str(), "bravo");
    let mut model = on("3");
    press(&mut model, "jgb");
    assert_eq!(model.tasks.filter, filter("batch:b812"));
    let mut model = on("3");
    press(&mut model, "jgt");
    assert_eq!(model.screen, Screen::Tasks);
    let window = model.watch().tasks.unwrap();
    let from = TaskId::new(60_527);
    assert!(
        matches!(window.start, ganger_proto::picture::Start::Task { task, .. } if task == from)
    );
    let mut model = tasks();
    press(&mut model, "gt60 540<enter>");
    refresh(&mut model);
    assert_eq!(model.tasks.cursor(), Some(TaskId::new(60_540)));
    press(&mut model, "gtnine<enter>");
    assert!(toast(&model).contains("no task's number"));
}

#[test]
fn copies_are_chosen_and_rows_are_json() {
    let mut model = tasks();
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char('Y'));
    let effects = feed(&mut model, Msg::Key(key));
    let [Effect::Copy(json)] = effects.as_slice() else { panic!("one copy: {effects:?}") };
    let row: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(row["command"], "4096");
    press(&mut model, "y");
    let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char('s'));
    let effects = feed(&mut model, Msg::Key(key));
    assert!(effects.contains(&Effect::Copy("ganger show 60528".to_owned())));
    assert!(model.overlays.is_empty());
}

#[test]
fn the_overviews_lists_lead_to_their_screens() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "<tab>A");
    assert!(model.next.marks.is_empty() && toast(&model).contains("press 2 or 3"));
    press(&mut model, "s");
    assert_eq!(model.screen, Screen::Tasks);
}

#[test]
fn a_copy_of_a_task_is_edited_in_the_form() {
    let mut model = tasks();
    assert_eq!(key(&mut model, 'e'), [Request::Show { task: TaskId::new(60_528) }]);
    tests::answer(&mut model);
    assert!(matches!(model.overlays.last(), Some(Overlay::Inject)));
    assert_eq!(
        model.form.text(crate::model::form::Field::Command),
        "convert in/{n:04}.png out/{n:04}.png"
    );
}

#[test]
fn a_lost_connection_takes_what_was_being_counted_with_it() {
    let mut model = tasks();
    press(&mut model, "Ac");
    hear(&mut model, Inbound::Lost { reason: "cut".to_owned(), tries: 1, retry_in_ms: 500 });
    assert!(model.overlays.is_empty() && model.tally.is_none());
    assert_eq!(model.tasks.marks.count(model.tasks.total), Some(12_493), "these stay known");
}

#[test]
fn an_empty_list_has_nothing_to_mark() {
    let mut model = showing((120, 36), crate::sample::empty());
    press(&mut model, "2");
    hear(&mut model, Inbound::Picture(Box::new(crate::sample::empty())));
    for keys in ["A", "*"] {
        press(&mut model, keys);
        assert!(model.tasks.marks.is_empty() && toast(&model).contains("nothing to mark"));
    }
}

#[test]
fn what_takes_a_search_is_not_counted_but_wants_a_word() {
    let mut model = tasks();
    press(&mut model, "/dur>10s<enter>");
    refresh(&mut model);
    press(&mut model, "A");
    assert!(key(&mut model, 'd').is_empty(), "no count is asked for");
    let text = question(&model);
    assert!(text.contains("At most 12 493 tasks") && text.ends_with("| delete"), "{text}");
    press(&mut model, "delete");
    let all = filter("dur>10s state:done|failed|cancelled");
    assert_eq!(enter(&mut model), [Request::Delete { select: Select::Matching(all) }]);
    reply(&mut model, Reply::Changed(Changed { changed: 7, ..Changed::default() }));
    assert_eq!(toast(&model), "7 deleted");
}

#[test]
fn the_way_to_a_key_does_not_empty_the_list() {
    let mut model = tasks();
    press(&mut model, "/kin");
    assert!(model.tasks.filter.is_everything(), "it may become kind:");
    press(&mut model, "d:exec -sta");
    assert_eq!(model.tasks.filter, filter("kind:exec"));
    press(&mut model, "r");
    assert_eq!(model.tasks.filter, filter("kind:exec -star"), "no key begins so");
    press(&mut model, "<backspace><enter>");
    assert_eq!(model.tasks.filter, filter("kind:exec -sta"), "Enter means the word");
}
