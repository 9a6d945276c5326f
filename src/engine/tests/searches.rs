//! Searches: what they find and in which order, how far they have come, and that they go on by
//! themselves when tasks change.

use ganger_proto::picture::{Order, Search as Progress, Sort, Start, TaskWindow, Watch};
use ganger_proto::{Filter, Name, TaskId};

use super::super::picture::blank_master;
use super::super::runs::TaskRun;
use super::super::search::Slice;
use super::super::window::Searches;
use super::bench::Bench;

fn window(filter: &str, sort: &str, start: Start, rows: u32) -> TaskWindow {
    let order = Order::By(sort.parse::<Sort>().unwrap());
    TaskWindow { filter: Filter::parse(filter).unwrap(), order, start, rows }
}

/// Shows a window as `first/total: ids`, and how far its search has come.
fn show(bench: &mut Bench, searches: &mut Searches, asked: &TaskWindow) -> (String, Progress) {
    let watch = Watch { tasks: Some(asked.clone()), ..Watch::default() };
    let master = blank_master(Name::from_lossy("test"));
    let picture = bench.engine.sketch(bench.now, &watch, searches, master).picture;
    let shown = picture.tasks.unwrap();
    let ids: Vec<String> = shown.rows.iter().map(|row| row.task.to_string()).collect();
    (format!("{}/{}: {}", shown.start, shown.total, ids.join(" ")), shown.search)
}

#[track_caller]
fn check(bench: &mut Bench, filter: &str, sort: &str, expected: &str) {
    let asked = window(filter, sort, Start::First, 20);
    let (shown, search) = show(bench, &mut Searches::default(), &asked);
    assert_eq!((shown.as_str(), search), (expected, Progress::Complete), "{filter} by {sort}");
    let found = bench.engine.matching(bench.now, &asked.filter);
    assert_eq!(found.len().to_string(), expected.split(['/', ':']).nth(1).unwrap(), "{filter}");
}

/// Task 1 done on `a`, 2 failed with 3 on its second try, 3 runs on `b`, 4 is cancelled, 5 and 6
/// are queued, 7 is delayed. Arguments are 7 but for 5 and 6, which are a range.
fn mixed() -> Bench {
    let mut bench = Bench::new();
    bench.run("submit 4 retries=1 label=stage:prod name=Nightly; wait 2000; join a; done 1");
    bench.run("fail 2; hold a 0; release 3; wait 100; hold a 1; hold a 0; fail 2; kill 4; join b");
    bench.run("submit 2 args=range priority=4 queue=mail; submit 1 delay=90000");
    bench
}

#[test]
fn every_term_finds_its_tasks() {
    let mut bench = mixed();
    let states = bench.states();
    assert_eq!(states, "done failed sent cancelled queued queued delayed");
    let mut check = |filter: &str, expected: &str| check(&mut bench, filter, "id", expected);
    check("", "0/7: 1 2 3 4 5 6 7");
    check("n=7", "0/5: 1 2 3 4 7");
    check("N=7", "0/0: ");
    check("n=7 -state:ended", "0/2: 3 7");
    check("nightly", "0/4: 1 2 3 4");
    check("cmd:nightly", "0/0: ");
    check("Nightly 7", "0/4: 1 2 3 4");
    check("batch:Nightly", "0/4: 1 2 3 4");
    check("batch:nightly", "0/0: ");
    check("batch:b2", "0/2: 5 6");
    check("label:stage", "0/4: 1 2 3 4");
    check("label:stage=prod|x", "0/4: 1 2 3 4");
    check("label:stage=test", "0/0: ");
    check("prio>0", "0/2: 5 6");
    check("prio:0 queue:default id:2..5", "0/3: 2 3 4");
    check("tries>=2", "0/1: 2");
    check("tries:0", "0/4: 4 5 6 7");
    check("exit:0", "0/1: 1");
    check("exit:1..9", "0/1: 2");
    check("-exit:0", "0/6: 2 3 4 5 6 7");
    check("worker:b", "0/1: 3");
    check("dur<1ms", "0/3: 1 2 3");
    check("age>2s", "0/4: 1 2 3 4");
    check("wait>1s", "0/1: 1");
    check("wait<1s state:queued", "0/2: 5 6");
    check("cmd:=0|=2", "0/2: 5 6");
}

#[test]
fn lists_are_sorted_by_every_key() {
    let mut bench = mixed();
    let mut check = |sort: &str, expected: &str| check(&mut bench, "", sort, expected);
    check("id:desc", "0/7: 7 6 5 4 3 2 1");
    check("state", "0/7: 7 5 6 3 1 2 4");
    check("priority:desc", "0/7: 5 6 1 2 3 4 7");
    check("tries:desc", "0/7: 2 1 3 4 5 6 7");
    check("worker", "0/7: 1 2 3 4 5 6 7");
    check("worker:desc", "0/7: 3 1 2 4 5 6 7");
    check("exit", "0/7: 1 2 3 4 5 6 7");
    check("exit:desc", "0/7: 2 1 3 4 5 6 7");
    check("took", "0/7: 1 2 3 4 5 6 7");
    check("since", "0/7: 1 2 3 4 5 6 7");
}

#[test]
fn windows_of_sorted_lists_keep_their_row() {
    let mut bench = mixed();
    let mut searches = Searches::default();
    let mut check = |sort: &str, start: Start, expected: &str| {
        let asked = window("", sort, start, 3);
        assert_eq!(show(&mut bench, &mut searches, &asked).0, expected, "{sort} {start:?}");
    };
    let from = |task: u64, offset: i64| Start::Task { task: TaskId::new(task), offset };
    check("priority:desc", Start::First, "0/7: 5 6 1");
    check("priority:desc", Start::Last, "4/7: 3 4 7");
    check("priority:desc", from(6, -1), "0/7: 5 6 1");
    check("priority:desc", from(2, 0), "3/7: 2 3 4");
    check("priority:desc", from(99, 0), "4/7: 3 4 7");
    check("id:desc", from(5, 0), "2/7: 5 4 3");
    check("id:desc", from(5, -9), "0/7: 7 6 5");
    check("id:desc", Start::Last, "4/7: 3 2 1");
}

/// A list that was shown before shows what changed: a small one is searched for each picture.
#[test]
fn what_changes_is_seen() {
    let mut bench = mixed();
    let mut searches = Searches::default();
    let asked = window("n= state:queued", "since", Start::First, 9);
    assert_eq!(show(&mut bench, &mut searches, &asked).0, "0/2: 5 6");
    bench.run("kill 5; retry 4");
    assert_eq!(show(&mut bench, &mut searches, &asked).0, "0/2: 4 6");
}

#[test]
fn long_searches_go_on_in_slices_and_show_what_they_have() {
    let mut bench = Bench::with_limit(3_000_000);
    bench.run("submit 2000000 args=range");
    let mut searches = Searches::default();
    let asked = window("=1", "id", Start::First, 2);
    let (shown, search) = show(&mut bench, &mut searches, &asked);
    assert_eq!(shown, format!("0/{}: 6 7", shown_total(&shown)));
    let Progress::Running { permille: 2 } = search else { panic!("{search:?}") };
    let mut slices = 0;
    let engine = &bench.engine;
    let mut search = searches.tasks.take().unwrap();
    while engine.search(bench.now, &mut search, 1_024) == Slice::More {
        slices += 1;
    }
    assert!(slices > 1_900, "{slices} slices of about a thousand tasks each");
    assert_eq!(engine.search(bench.now, &mut search, 1_024), Slice::Idle);
    searches.tasks = Some(search);
    let (shown, search) = show(&mut bench, &mut searches, &asked);
    // 0, 2, 4 … 3,999,998: those that begin with 1.
    assert_eq!((shown.as_str(), search), ("0/555555: 6 7", Progress::Complete));
    // It is done again only when something changed, and not before a second has passed.
    bench.run("kill 6");
    let (shown, _) =
        show(&mut bench, &mut searches, &window("=1 -state:ended", "id", Start::First, 2));
    assert!(shown.ends_with(": 7 8"), "{shown}");
    let mut search = searches.tasks.take().unwrap();
    while bench.engine.search(bench.now, &mut search, 1 << 20) == Slice::More {}
    bench.run("kill 7");
    assert_eq!(bench.engine.search(bench.now, &mut search, 9), Slice::Idle);
    searches.tasks = Some(search);
    let asked = window("=1 -state:ended", "id", Start::First, 2);
    let (shown, search) = show(&mut bench, &mut searches, &asked);
    assert_eq!((shown.as_str(), search), ("0/555553: 8 9", Progress::Complete), "checked again");
    bench.run("wait 1000");
    let search = searches.tasks.as_mut().unwrap();
    assert_eq!(bench.engine.search(bench.now, search, 9), Slice::More);
    assert!(!search.is_first(), "the old answer stays while the next pass is under way");
}

fn shown_total(shown: &str) -> &str {
    shown.split(['/', ':']).nth(1).unwrap()
}

/// Terms that look at records alone take a page of tasks that are alike in one step.
#[test]
fn tasks_that_are_alike_are_looked_at_together() {
    let mut bench = Bench::with_limit(3_000_000);
    bench.run("submit 2000000 args=range");
    let asked = window("tries:0", "id", Start::First, 1);
    let shown = show(&mut bench, &mut Searches::default(), &asked);
    assert_eq!(shown, ("0/2000000: 1".to_owned(), Progress::Complete));
}

#[test]
fn too_many_to_sort_are_refused_with_a_sentence() {
    let mut bench = Bench::with_limit(3_000_000);
    bench.run("submit 1234567 args=range; submit 3 priority=5");
    let asked = window("", "priority:desc", Start::First, 2);
    let (shown, search) = show(&mut bench, &mut Searches::default(), &asked);
    assert_eq!(shown, "0/1234570: 1 2");
    let sentence =
        "sorting 1,234,570 tasks by priority needs a filter that leaves at most 1,000,000";
    assert_eq!(search, Progress::Refused(sentence.to_owned()));
    // Found out on the way: the rest is counted, the order is that of ids.
    let asked = window("n=", "tries", Start::First, 2);
    let mut searches = Searches::default();
    show(&mut bench, &mut searches, &asked);
    let search = searches.tasks.as_mut().unwrap();
    while bench.engine.search(bench.now, search, 1 << 20) == Slice::More {}
    let (shown, search) = show(&mut bench, &mut searches, &asked);
    assert_eq!(shown, "0/1234570: 1 2");
    assert!(matches!(search, Progress::Refused(why) if why.contains("1,234,570 tasks by tries")));
}

#[test]
fn commands_reach_what_a_search_found_and_what_still_matches() {
    let mut bench = mixed();
    bench.run("cancel-all n=7");
    assert_eq!(bench.heard, "stale*1 ok*2,ended*3 grant*1 b1 ended b3 ended");
    bench.run("retry-all exit:3");
    assert_eq!(bench.heard, "ok");
    let hunted = |bench: &Bench, text: &str| {
        let mut search = super::super::Engine::hunt(Filter::parse(text).unwrap());
        while bench.engine.search(bench.now, &mut search, 1) == Slice::More {}
        search.into_ids()
    };
    let found = hunted(&bench, "n=");
    assert_eq!(found.runs().collect::<Vec<_>>(), [TaskRun { first: TaskId::new(1), count: 7 }]);
}

#[test]
fn pages_of_a_listing_look_at_a_bounded_number_of_tasks() {
    let mut bench = Bench::with_limit(3_000_000);
    bench.run("submit 100000 args=range");
    let filter = Filter::parse("=199998").unwrap();
    let (mut after, mut pages, mut found) = (TaskId::new(0), 0, Vec::new());
    loop {
        let page = bench.engine.list(bench.now, &filter, after, 10);
        assert_eq!(page.total, None);
        found.extend(page.rows.into_iter().map(|row| row.task.raw()));
        pages += 1;
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!((found, pages), (vec![100_000], 13));
    let mut bench = mixed();
    let took = |text: &str| {
        let filter = Filter::parse(text).unwrap();
        let page = bench.engine.list(bench.now, &filter, TaskId::new(0), 10);
        page.rows.iter().map(|row| (row.task.raw(), row.took_us)).collect::<Vec<_>>()
    };
    assert_eq!(took("tries>0"), [(1, Some(5)), (2, Some(5)), (3, None)]);
    bench = Bench::with_limit(3_000_000);
    bench.run("submit 100000 args=range");
    let page = bench.engine.list(bench.now, &Filter::default(), TaskId::new(99_999), 10);
    assert_eq!((page.rows.len(), page.total, page.next), (1, Some(100_000), None));
}
