//! Every key, from the one table.

use ratatui::layout::Rect;

use super::centred;
use super::pen::{Pen, piece};
use crate::keymap::{Context, keys, shown};
use crate::layout::Frame;
use crate::model::overlay::Scroll;
use crate::text::cut;
use crate::theme::Role;

/// Columns of one key with its label.
const ENTRY: u16 = 36;

const ORDER: [Context; 20] = [
    Context::Screen,
    Context::List,
    Context::Gang,
    Context::Welcome,
    Context::Form,
    Context::Filter,
    Context::Quick,
    Context::Confirm,
    Context::Typed,
    Context::Join,
    Context::Details,
    Context::Reader,
    Context::Search,
    Context::Worker,
    Context::Note,
    Context::Menu,
    Context::Save,
    Context::Palette,
    Context::Help,
    Context::Lost,
];

enum Entry {
    Title(&'static str),
    Keys(Vec<(String, &'static str)>),
}

fn entries(per_line: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for context in ORDER {
        let keys: Vec<(String, &'static str)> = keys()
            .filter(|binding| binding.contexts.contains(&context))
            .map(|binding| {
                let chords: Vec<_> = binding.chords.iter().map(|chord| shown(chord)).collect();
                (chords.join(" "), binding.label)
            })
            .collect();
        entries.push(Entry::Title(context.title()));
        entries.extend(keys.chunks(per_line.max(1)).map(|chunk| Entry::Keys(chunk.to_vec())));
    }
    entries
}

fn per_line(width: u16) -> usize {
    usize::from((width.saturating_sub(4) / ENTRY).clamp(1, 3))
}

/// Returns how many lines the help has.
pub(crate) fn lines_count(size: (u16, u16)) -> usize {
    entries(per_line(size.0)).len()
}

pub(super) fn help(pen: &mut Pen<'_>, frame: &Frame, scroll: Scroll) {
    let whole = pen.area;
    let per_line = per_line(whole.width);
    let entries = entries(per_line);
    let above_footer = Rect { height: whole.height - frame.footer.height, ..whole };
    let area = centred(above_footer, per_line as u16 * ENTRY + 4, entries.len() as u16 + 2);
    pen.within(area).clear(Role::Text);
    let inner = pen.frame(area, "Keys", &[], Role::BorderFocus);
    let shown_rows = usize::from(inner.height);
    let top = scroll.0.min(entries.len().saturating_sub(shown_rows));
    let mut inside = pen.within(inner);
    for (y, entry) in (inner.y..inner.bottom()).zip(entries.iter().skip(top)) {
        match entry {
            Entry::Title(title) => drop(inside.put(inner.x + 1, y, title, Role::Title)),
            Entry::Keys(keys) => {
                for (i, (chords, label)) in keys.iter().enumerate() {
                    let x = inner.x + 2 + i as u16 * ENTRY;
                    inside.put(x, y, &cut(chords, 15), Role::Key);
                    inside.put(x + 16, y, &cut(label, 18), Role::Text);
                }
            }
        }
    }
    if entries.len() > shown_rows {
        let text = format!("{}–{} of {}", top + 1, top + shown_rows, entries.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}
