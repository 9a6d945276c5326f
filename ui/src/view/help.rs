//! The help: the keys of this place first, the filter language, the commands, the signs, then the
//! keys of all other places. What an action does is said in keymap/about.rs.

use ganger_proto::{TaskState, filter};
use ratatui::layout::{Position, Rect};

use super::dialog::typed;
use super::pen::{Pen, piece};
use super::{centred, sign};
use crate::keymap::{Context, Row, about};
use crate::layout::{Frame, Width, frame};
use crate::model::Model;
use crate::model::overlay::{Help, HelpSearch, Overlay};
use crate::model::palette::Command;
use crate::text::{cut, width};
use crate::theme::Role;
use crate::update::COMMANDS;

/// One line of the help.
enum Line {
    Title(String),
    Entries(Vec<Entry>, Shape),
    Blank,
}

/// How the entries of a group stand.
#[derive(Clone, Copy)]
enum Shape {
    Keys,
    Terms,
    Signs,
}

/// A key, or a sign, with what it is.
#[derive(Clone)]
struct Entry {
    keys: String,
    role: Role,
    label: String,
    about: String,
}

/// What the language has besides its keys.
const FILTER: [(&str, &str); 3] = [
    ("two words", "texts in the command or batch name"),
    ("\"a phrase\"", "with its space"),
    ("-state:done", "a minus turns a term round"),
];

const SIGNS: [(&str, Role, &str); 5] = [
    ("◷", Role::Failed, "timed out"),
    ("⇄", Role::Delayed, "moved: worker lost"),
    ("◆", Role::Mark, "marked"),
    ("▌", Role::Mark, "the row keys act on"),
    ("━", Role::MeterLow, "how full, how far"),
];

/// Returns how many lines the help has, and how many of them are seen.
pub(crate) fn lines_count(model: &Model) -> (usize, usize) {
    let Some(Overlay::Help(help)) = model.overlays.last() else { return (0, 0) };
    let frame = frame(model.size);
    let whole = Rect { width: model.size.0, height: model.size.1, ..Rect::default() };
    let lines = lines(model, help, frame.width).len();
    let area = place(whole, &frame, lines, help);
    (lines, usize::from(area.height.saturating_sub(2 + searching(help))))
}

const fn searching(help: &Help) -> u16 {
    match help.search {
        HelpSearch::Off => 0,
        HelpSearch::Typed | HelpSearch::Kept => 1,
    }
}

/// While words are looked for the box keeps its size, so that nothing jumps.
fn place(whole: Rect, frame: &Frame, lines: usize, help: &Help) -> Rect {
    let above_footer = Rect { height: whole.height.saturating_sub(frame.footer.height), ..whole };
    let columns = match frame.width {
        Width::Full => 116,
        Width::Compact => whole.width.min(84),
        Width::Small | Width::Tiny => whole.width,
    };
    let height = if searching(help) > 0 { u16::MAX } else { (lines as u16).saturating_add(2) };
    centred(above_footer, columns, height)
}

pub(super) fn help(
    pen: &mut Pen<'_>,
    frame: &Frame,
    model: &Model,
    help: &Help,
) -> Option<Position> {
    let lines = lines(model, help, frame.width);
    let area = place(pen.area, frame, lines.len(), help);
    pen.within(area).clear(Role::Text);
    let hint = [piece("/", Role::Key), piece(" search", Role::Dim)];
    let inner = pen.frame(area, "Help", &hint, Role::BorderFocus);
    let cursor = search_line(&mut pen.within(inner), inner, help, lines.len());
    let top_line = inner.y + searching(help).min(inner.height);
    let rows = usize::from(inner.bottom() - top_line);
    let top = help.scroll.0.min(lines.len().saturating_sub(rows));
    let mut inside = pen.within(inner);
    for (y, line) in (top_line..inner.bottom()).zip(lines.iter().skip(top)) {
        draw(&mut inside, Rect { y, height: 1, ..inner }, line, frame.width);
    }
    if lines.len() > rows {
        let text = format!("{}–{} of {}", top + 1, top + rows, lines.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
    cursor
}

fn search_line(pen: &mut Pen<'_>, area: Rect, help: &Help, found: usize) -> Option<Position> {
    if help.search == HelpSearch::Off || area.height == 0 {
        return None;
    }
    let x = pen.put(area.x + 1, area.y, "/ ", Role::Key);
    let cursor = typed(pen, (x, area.y), area.width.saturating_sub(4), &help.words);
    if found == 0 {
        let x = x + width(help.words.text()) as u16 + 2;
        pen.put(x, area.y, "nothing holds these words; Esc clears", Role::Note);
    }
    (help.search == HelpSearch::Typed).then_some(cursor)
}

fn draw(pen: &mut Pen<'_>, area: Rect, line: &Line, width: Width) {
    match line {
        Line::Blank => {}
        Line::Title(title) => {
            let x = pen.put(area.x + 1, area.y, title, Role::Title);
            let rest = usize::from(area.right().saturating_sub(x + 2));
            pen.put(x + 1, area.y, &"─".repeat(rest), Role::Border);
        }
        Line::Entries(entries, shape) => {
            let (columns, keys_columns) = shape.columns(width);
            let each = area.width / columns as u16;
            for (i, entry) in entries.iter().enumerate() {
                let x = area.x + 2 + i as u16 * each;
                let keys = cut(&entry.keys, usize::from(keys_columns - 1));
                pen.put(x, area.y, &keys, entry.role);
                let x = x + keys_columns;
                let room = each.saturating_sub(2 + keys_columns);
                let is_bare = entry.label.is_empty();
                if width == Width::Compact && !is_bare {
                    pen.put_cut((x, area.y), &entry.label, 19, Role::Strong);
                    pen.put_cut(
                        (x + 20, area.y),
                        &entry.about,
                        room.saturating_sub(20),
                        Role::Text,
                    );
                } else {
                    let about = width == Width::Full || is_bare;
                    let text = if about { &entry.about } else { &entry.label };
                    pen.put_cut((x, area.y), text, room, Role::Text);
                }
            }
        }
    }
}

impl Shape {
    /// Returns how many entries a line has, and the columns of what stands before their text.
    const fn columns(self, width: Width) -> (usize, u16) {
        match (self, width) {
            (Self::Keys, Width::Full) => (2, 13),
            (Self::Keys, Width::Compact) => (1, 13),
            (Self::Keys, Width::Small | Width::Tiny) => (1, 11),
            (Self::Terms, Width::Full) => (2, 20),
            (Self::Terms, Width::Compact | Width::Small | Width::Tiny) => (1, 20),
            (Self::Signs, Width::Full) => (4, 3),
            (Self::Signs, Width::Compact) => (3, 3),
            (Self::Signs, Width::Small | Width::Tiny) => (1, 3),
        }
    }
}

fn lines(model: &Model, help: &Help, width: Width) -> Vec<Line> {
    let words = match help.search {
        HelpSearch::Off => String::new(),
        HelpSearch::Typed | HelpSearch::Kept => help.words.text().trim().to_lowercase(),
    };
    let mut lines = Vec::new();
    for (title, shape, entries) in groups(model) {
        let fits = |entry: &Entry| {
            let text = format!("{title} {} {} {}", entry.keys, entry.label, entry.about);
            let text = text.to_lowercase();
            words.split_whitespace().all(|word| text.contains(word))
        };
        let entries: Vec<Entry> = entries.into_iter().filter(fits).collect();
        if entries.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(Line::Blank);
        }
        lines.push(Line::Title(title));
        // Down the columns, as a list is read.
        let rows = entries.len().div_ceil(shape.columns(width).0);
        for row in 0..rows {
            let line = entries.iter().skip(row).step_by(rows).cloned().collect();
            lines.push(Line::Entries(line, shape));
        }
    }
    lines
}

/// Returns the groups of the help with their titles, the ones of this place first.
fn groups(model: &Model) -> Vec<(String, Shape, Vec<Entry>)> {
    let help = model.overlays.iter().rposition(|overlay| matches!(overlay, Overlay::Help(_)));
    let here = model.contexts_below(help.unwrap_or(model.overlays.len()));
    let others = Context::ALL.into_iter().filter(|context| !here.contains(context));
    let mut groups = Vec::new();
    for context in here.iter().copied().chain(others.clone()) {
        let mark = if here.contains(&context) { "here: " } else { "" };
        let title = format!("{mark}{}", context.title());
        groups.push((title, Shape::Keys, keys_of(model, &here, context)));
        if Some(&context) == here.last() {
            groups.push(("The filter line".to_owned(), Shape::Terms, filter_terms()));
            groups.push(("Commands".to_owned(), Shape::Terms, commands()));
            groups.push(("Signs".to_owned(), Shape::Signs, signs()));
        }
    }
    groups
}

fn keys_of(model: &Model, here: &[Context], context: Context) -> Vec<Entry> {
    let rows = model.keymap.rows().iter().filter(|row| row.context == context);
    // What every place has is told once, where this is not the place itself.
    let is_here = context == Context::Screen || here.contains(&context);
    let is_of_place = |row: &&Row| is_here || !row.binding.contexts.contains(&Context::Screen);
    rows.filter(|row| !row.shown().is_empty())
        .filter(is_of_place)
        .map(|row| {
            let star = if row.is_custom() { " *" } else { "" };
            let changed = if row.is_custom() { " (* your own key)" } else { "" };
            Entry {
                keys: format!("{}{star}", row.shown().join(" ")),
                role: if row.is_custom() { Role::Mark } else { Role::Key },
                label: row.binding.label.to_owned(),
                about: format!("{}{changed}", about(row.binding.action)),
            }
        })
        .collect()
}

fn filter_terms() -> Vec<Entry> {
    let entry = |(term, about): (&str, &str)| Entry {
        keys: term.to_owned(),
        role: Role::Key,
        label: String::new(),
        about: about.to_owned(),
    };
    let keys = filter::KEYS.iter().map(|(_, example, about)| (*example, *about));
    keys.chain(FILTER).map(entry).collect()
}

fn commands() -> Vec<Entry> {
    let entry = |command: &Command| Entry {
        keys: format!(":{}", command.usage()),
        role: Role::Key,
        label: String::new(),
        about: command.about.to_owned(),
    };
    COMMANDS.iter().map(entry).collect()
}

fn signs() -> Vec<Entry> {
    let entry = |glyph: &str, role: Role, about: &str| Entry {
        keys: glyph.to_owned(),
        role,
        label: String::new(),
        about: about.to_owned(),
    };
    let states = TaskState::ALL.map(|state| {
        let (glyph, role) = sign::task(state);
        entry(glyph, role, state.word())
    });
    let more = SIGNS.iter().map(|(glyph, role, about)| entry(glyph, *role, about));
    states.into_iter().chain(more).collect()
}
