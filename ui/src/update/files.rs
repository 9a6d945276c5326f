//! What leaves the screen as a file: its picture, and the rows of a list. The files are written by
//! save.rs.

use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::picture::TaskRow;
use ganger_proto::{Filter, Request, TaskId};

use super::{ask, inbound};
use crate::model::export::{Export, ExportStep, Whole};
use crate::model::{Asked, Focus, Model, Tone};
use crate::msg::Effect;
use crate::rows::{RowFormat, stamp};
use crate::save::FileName;
use crate::shot::ShotFormat;
use crate::text::{counted, grouped};

/// Rows of one export; more are better asked for with `ganger ls --json`.
const ROWS_MAX: u64 = 100_000;

/// `screenshot text|ansi|svg [FILE]`: the screen as it is, without what asked for it.
pub(super) fn screenshot(
    model: &mut Model,
    arguments: &[&str],
    out: &mut Vec<Effect>,
) -> Result<(), String> {
    let format = match arguments.first() {
        Some(&"text") => ShotFormat::Text,
        Some(&"ansi") => ShotFormat::Ansi,
        Some(&"svg") => ShotFormat::Svg,
        Some(_) | None => {
            return Err("say how: screenshot text, screenshot ansi or screenshot svg".to_owned());
        }
    };
    let file = file_name(model, "ganger", format.extension(), &arguments[1..]);
    out.push(Effect::Screenshot { format, file });
    Ok(())
}

/// A key's picture: an SVG file with a name of its own, also of what lies over the screen.
pub(super) fn draw(model: &mut Model, out: &mut Vec<Effect>) {
    let file = file_name(model, "ganger", ShotFormat::Svg.extension(), &[]);
    out.push(Effect::Screenshot { format: ShotFormat::Svg, file });
}

/// `export csv|json [FILE]`: all rows that match the present list's filter.
pub(super) fn export(
    model: &mut Model,
    arguments: &[&str],
    _out: &mut Vec<Effect>,
) -> Result<(), String> {
    let format = match arguments.first() {
        Some(&"csv") => RowFormat::Csv,
        Some(&"json") => RowFormat::Json,
        Some(_) | None => return Err("say how: export csv or export json".to_owned()),
    };
    if !model.is_up() {
        return Err("there is no connection; the rows are the master's".to_owned());
    }
    let (text, stem, shown) = match (model.focus(), model.list()) {
        (Some(Focus::Next), _) => (String::new(), "tasks", "state:open"),
        (Some(Focus::Latest), _) => (String::new(), "results", "state:ended"),
        (Some(Focus::Tasks), Some(list)) => (list.filter_text.clone(), "tasks", ""),
        (Some(Focus::Results), Some(list)) => (list.filter_text.clone(), "results", "state:ended"),
        (Some(Focus::Workers | Focus::Tasks | Focus::Results) | None, _) => {
            return Err("only tasks and results are exported; press 2 or 3 first".to_owned());
        }
    };
    let filter = Filter::parse(&format!("{text} {shown}")).map_err(|error| error.to_string())?;
    let stem = format!("ganger-{stem}");
    stop(model);
    model.export = Some(Export {
        format,
        file: file_name(model, &stem, format.extension(), &arguments[1..]),
        filter,
        after: TaskId::new(0),
        rows: 0,
        text: format.head().to_owned(),
        step: ExportStep::Ask,
    });
    model.say(Tone::Note, "exporting; Esc stops it");
    Ok(())
}

/// The rest of the line is one name, spaces and all.
fn file_name(model: &Model, stem: &str, extension: &'static str, given: &[&str]) -> FileName {
    match given {
        [] => {
            let stamp = stamp(model.now.wall, model.utc_offset_min);
            FileName::Free { stem: format!("{stem}-{stamp}"), extension }
        }
        words => FileName::Given(words.join(" ")),
    }
}

/// Asks for the next page, or hands the file out. A page that a lost connection swallowed is asked
/// for again.
pub(super) fn pump(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(export) = &model.export else { return };
    match export.step {
        ExportStep::Write { whole } => {
            let rows = counted(export.rows, "row", "rows");
            let what = match whole {
                Whole::Yes => rows,
                Whole::No { total: None } => format!("the first {rows}"),
                Whole::No { total: Some(total) } => {
                    format!("the first {} of {} rows", grouped(export.rows), grouped(total))
                }
            };
            if let Some(Export { file, text, .. }) = model.export.take() {
                out.push(Effect::Save { file, text, what });
            }
        }
        ExportStep::Ask if model.is_up() && !model.asked.values().any(|a| *a == Asked::Export) => {
            let rows = u32::try_from(ROWS_MAX - export.rows).unwrap_or(u32::MAX);
            let (filter, after) = (export.filter.clone(), export.after);
            let rows = rows.min(PAGE_ROWS_MAX);
            ask(model, Request::List { filter, after, rows }, Asked::Export, out);
        }
        ExportStep::Ask => {}
    }
}

/// Takes a page.
pub(super) fn took(
    model: &mut Model,
    rows: Vec<TaskRow>,
    total: Option<u64>,
    next: Option<TaskId>,
) {
    let Some(export) = &mut model.export else { return };
    // A page that goes back would be asked for for ever.
    let next = next.filter(|task| *task > export.after);
    for mut row in rows {
        inbound::clean_task(&mut row);
        export.format.write(&mut export.text, &row);
        export.rows += 1;
    }
    match next {
        Some(next) if export.rows < ROWS_MAX => export.after = next,
        Some(_) => export.step = ExportStep::Write { whole: Whole::No { total } },
        None => export.step = ExportStep::Write { whole: Whole::Yes },
    }
    let done = grouped(export.rows);
    let of = total.map_or_else(String::new, |total| format!(" of {}", grouped(total)));
    model.say(Tone::Note, format!("exporting {done}{of}; Esc stops it"));
}

/// Gives an export up; tells whether there was one.
pub(super) fn stop(model: &mut Model) -> bool {
    let stopped = model.export.take().is_some();
    // A page that is on its way belongs to no other export.
    model.asked.retain(|_, asked| *asked != Asked::Export);
    if stopped {
        model.say(Tone::Note, "the export is stopped; nothing was written");
    }
    stopped
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Reply, TaskState};

    use super::*;
    use crate::link::{Inbound, Outbound};
    use crate::model::LinkState;
    use crate::msg::Msg;
    use crate::sample::{busy, feed, hear, showing, task};
    use crate::view::tests::press;

    /// Answers the page asked for from a master with that many tasks; returns its first id.
    fn answer(model: &mut Model, effects: &[Effect], tasks: u64) -> (u64, Vec<Effect>) {
        let page = |effect: &Effect| {
            let Effect::Send(Outbound::Request { tag, request }) = effect else { return None };
            let Request::List { after, rows, .. } = request else { return None };
            Some((*tag, after.raw(), u64::from(*rows)))
        };
        let asked = effects.iter().find_map(page);
        let (tag, after, rows) = asked.expect("a page is asked for");
        let ids = (after + 1..=tasks).take(rows as usize);
        let page: Vec<TaskRow> = ids.map(|id| task(id, TaskState::Done)).collect();
        let next = (after + rows < tasks).then(|| TaskId::new(after + rows));
        let result = Ok(Reply::Tasks { rows: page, total: Some(tasks), next });
        (after + 1, feed(model, Msg::Link(Inbound::Reply { tag, result })))
    }

    fn start(model: &mut Model, arguments: &[&str]) -> Vec<Effect> {
        export(model, arguments, &mut Vec::new()).unwrap();
        feed(model, Msg::Second)
    }

    fn saved(effects: Vec<Effect>) -> (FileName, String, String) {
        let save = effects.into_iter().find_map(|effect| {
            let Effect::Save { file, text, what } = effect else { return None };
            Some((file, text, what))
        });
        save.expect("the file is written")
    }

    #[test]
    fn all_pages_end_up_in_one_file() {
        let mut model = showing((80, 24), busy());
        press(&mut model, "2");
        let mut effects = start(&mut model, &["csv"]);
        for first in [1, 4_097, 8_193] {
            let (began, then) = answer(&mut model, &effects, 9_000);
            assert_eq!(began, first);
            effects = then;
        }
        let (file, text, what) = saved(effects);
        assert_eq!(text.lines().count(), 9_001);
        assert!(text.starts_with("task,batch,"), "{text}");
        assert_eq!(what, "9 000 rows");
        let FileName::Free { stem, extension: "csv" } = file else { panic!("{file:?}") };
        assert!(stem.starts_with("ganger-tasks-20"), "{stem}");
        assert!(model.export.is_none());
    }

    #[test]
    fn a_lost_page_is_asked_for_again_and_much_is_cut() {
        let mut model = showing((80, 24), busy());
        press(&mut model, "3");
        let mut effects = start(&mut model, &["json", "my", "file.jsonl"]);
        let LinkState::Up(connection) = model.link.clone() else { panic!("it is up") };
        hear(&mut model, Inbound::Lost { reason: String::new(), tries: 0, retry_in_ms: 9 });
        effects.clear();
        effects.extend(feed(&mut model, Msg::Link(Inbound::Connected(connection))));
        while model.export.is_some() {
            effects = answer(&mut model, &effects, 1_000_000).1;
        }
        let (file, text, what) = saved(effects);
        assert_eq!(file, FileName::Given("my file.jsonl".to_owned()));
        assert_eq!(text.lines().count(), 100_000);
        assert_eq!(what, "the first 100 000 of 1 000 000 rows");
    }

    #[test]
    fn escape_stops_it_and_a_late_page_is_dropped() {
        let mut model = showing((80, 24), busy());
        press(&mut model, "2");
        let effects = start(&mut model, &["csv"]);
        press(&mut model, "<esc>");
        let said = &model.toast.as_ref().unwrap().text;
        assert_eq!(said, "the export is stopped; nothing was written");
        let (_, after) = answer(&mut model, &effects, 10);
        assert!(after.is_empty(), "{after:?}");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let mut model = showing((80, 24), busy());
        press(&mut model, "4");
        let mut out = Vec::new();
        let check = |said: Result<(), String>, part: &str| {
            let said = said.unwrap_err();
            assert!(said.contains(part), "{said}");
        };
        check(export(&mut model, &["csv"], &mut out), "press 2 or 3");
        check(export(&mut model, &["xml"], &mut out), "export csv");
        check(screenshot(&mut model, &[], &mut out), "screenshot svg");
        assert_eq!(out, []);
        screenshot(&mut model, &["svg", "a.svg"], &mut out).unwrap();
        let file = FileName::Given("a.svg".to_owned());
        assert_eq!(out, [Effect::Screenshot { format: ShotFormat::Svg, file }]);
    }
}
