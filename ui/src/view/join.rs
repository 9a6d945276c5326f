//! The dialog that makes join lines: for whom, and the line to be typed on the other machine.

use ganger_proto::Role as CertificateRole;
use ratatui::layout::{Position, Rect};

use super::centred;
use super::dialog::typed;
use super::pen::{Pen, Piece, piece, pieces_width};
use crate::model::overlay::{JoinDialog, JoinField};
use crate::model::{Asked, Minted, Model};
use crate::text::{chunks, seconds, width, wrap};
use crate::theme::Role;

/// Rows of the form.
const FORM_ROWS: u16 = 4;

type Line = Vec<Piece>;

pub(super) fn join(pen: &mut Pen<'_>, model: &Model, dialog: &JoinDialog) -> Option<Position> {
    let room = Rect { height: pen.area.height.saturating_sub(1), ..pen.area };
    let columns = room.width.min(92).saturating_sub(4);
    let below = below(model, dialog, usize::from(columns).max(16));
    // A line that is there is what matters: where there is no room the form gives way.
    let all = FORM_ROWS + below.len() as u16 + 2;
    let form = dialog.minted.is_none() || all <= room.height;
    let mut below = below;
    squeeze(&mut below, room.height.saturating_sub(if form { FORM_ROWS } else { 0 } + 2));
    let rows = below.len() as u16 + if form { FORM_ROWS } else { 0 };
    let area = centred(room, columns + 4, rows + 2);
    pen.within(area).clear(Role::Text);
    let title = match dialog.role {
        CertificateRole::Worker => "Bring in a machine",
        CertificateRole::Viewer | CertificateRole::Submitter | CertificateRole::Operator => {
            "Bring in a person"
        }
    };
    let inner = pen.frame(area, title, &[], Role::BorderFocus);
    let mut pen = pen.within(inner);
    let x = inner.x + 1;
    let (y, cursor) = match form {
        true => (inner.y + FORM_ROWS, fields(&mut pen, (x, inner.y), dialog)),
        false => (inner.y, None),
    };
    for (y, (_, line)) in (y..).zip(&below) {
        pen.put_all(x, y, line);
    }
    cursor
}

fn fields(pen: &mut Pen<'_>, (x, y): (u16, u16), dialog: &JoinDialog) -> Option<Position> {
    let role = |field| if dialog.focus == field { Role::Key } else { Role::Dim };
    pen.put(x, y, "Role", role(JoinField::Role));
    let mut at = x + 10;
    // Where not all have room the chosen one stands alone, with the keys that change it.
    let is_wide = pen.area.width >= 50;
    let shown = |choice: &CertificateRole| is_wide || *choice == dialog.role;
    for choice in CertificateRole::ALL.into_iter().filter(shown) {
        let look = if choice == dialog.role { Role::Choice } else { Role::Text };
        at = pen.put(at, y, &format!(" {choice} "), look);
    }
    if !is_wide {
        at = pen.put(at + 1, y, "← →", Role::Key);
    }
    let may = match dialog.role {
        CertificateRole::Worker => "runs tasks",
        CertificateRole::Viewer => "sees everything, changes nothing",
        CertificateRole::Submitter => "submits, and sees its own",
        CertificateRole::Operator => "may do everything but invite operators",
    };
    let right = pen.area.right();
    let hint = |(x, y): (u16, u16), text: &str, pen: &mut Pen<'_>| {
        if x + width(text) as u16 <= right {
            pen.put(x, y, text, Role::Dim);
        }
    };
    hint((at + 2, y), may, pen);
    let mut cursor = None;
    let rows = [
        (JoinField::Name, "Name", &dialog.name, "its own wish, or its host's name, when empty"),
        (JoinField::Uses, "Uses", &dialog.uses, "how many may join with the line"),
        (JoinField::Ttl, "Valid", &dialog.ttl, "such as 30m, 1h, 2d"),
    ];
    for (y, (field, label, line, text)) in (y + 1..).zip(rows) {
        pen.put(x, y, label, role(field));
        let position = typed(pen, (x + 11, y), 20, line);
        hint((x + 32, y), text, pen);
        if dialog.focus == field {
            cursor = Some(position);
        }
    }
    cursor
}

/// What stands below the form: a fault, the line, and what to know of it; each line with its rank.
fn below(model: &Model, dialog: &JoinDialog, columns: usize) -> Vec<(Rank, Line)> {
    let mut lines = vec![(Rank::Gap, Line::new())];
    if !dialog.error.is_empty() {
        let fault = wrap(&dialog.error, columns).into_iter();
        lines.extend(fault.map(|line| (Rank::Needed, vec![piece(line, Role::Bad)])));
        lines.push((Rank::Gap, Line::new()));
    }
    let Some(minted) = &dialog.minted else {
        let waits = model.asked.values().any(|asked| *asked == Asked::Join);
        let last = match waits {
            true => vec![piece("the line is being made …", Role::Dim)],
            false => {
                let all = [("Enter", "makes the line"), ("Tab", "next field"), ("Esc", "closes")];
                keys(&all, columns)
            }
        };
        lines.push((Rank::Needed, last));
        return lines;
    };
    lines.extend(line_of(model, dialog, minted, columns));
    lines
}

fn line_of(
    model: &Model,
    dialog: &JoinDialog,
    minted: &Minted,
    columns: usize,
) -> Vec<(Rank, Line)> {
    let program = match dialog.role {
        CertificateRole::Worker => "ganger-worker",
        CertificateRole::Viewer | CertificateRole::Submitter | CertificateRole::Operator => {
            "ganger"
        }
    };
    let mut lines =
        vec![(Rank::Title, vec![piece("Run this on the other machine:", Role::Strong)])];
    for part in chunks(&minted.line(dialog.role), columns.saturating_sub(2).max(16)) {
        lines.push((Rank::Needed, vec![piece(format!(" {part} "), Role::Token)]));
    }
    let valid = match minted.expires.since(model.master_now()) {
        0 => vec![piece("It has ended; Enter makes another.", Role::Bad)],
        left => vec![
            piece("Ends in ", Role::Text),
            piece(seconds(left), Role::Strong),
            piece("; shown here only.", Role::Text),
        ],
    };
    lines.push((Rank::Needed, valid));
    let how = format!("No {program} there? From here: ");
    let copy = format!("scp \"$(command -v {program})\" HOST:");
    if width(&how) + width(&copy) <= columns {
        lines.push((Rank::How, vec![piece(how, Role::Dim), piece(copy, Role::Text)]));
    }
    lines.push((Rank::Gap, Line::new()));
    let y = if dialog.focus == JoinField::Role { "y" } else { "F2" };
    let all = [(y, "copies the line"), ("Enter", "another"), ("Esc", "closes")];
    lines.push((Rank::Needed, keys(&all, columns)));
    let again = "Another line withdraws this one, unless somebody has used it.";
    if width(again) <= columns {
        lines.push((Rank::Rule, vec![piece(again, Role::Dim)]));
    }
    lines
}

/// What goes first where there is no room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Gap,
    Rule,
    How,
    Title,
    Needed,
}

/// Returns as many keys as fit.
fn keys(keys: &[(&str, &str)], columns: usize) -> Line {
    let mut line = Line::new();
    for (key, does) in keys {
        let gap = if line.is_empty() { "" } else { "  ·  " };
        let more =
            [piece(gap, Role::Dim), piece(*key, Role::Key), piece(format!(" {does}"), Role::Text)];
        if usize::from(pieces_width(&line) + pieces_width(&more)) <= columns {
            line.extend(more);
        }
    }
    line
}

/// Takes lines away, those of the lowest rank first and the last of them, until the rest fits.
fn squeeze(lines: &mut Vec<(Rank, Line)>, rows: u16) {
    while lines.len() > usize::from(rows) {
        let lowest = lines.iter().map(|(rank, _)| *rank).min();
        let at = lines.iter().rposition(|(rank, _)| Some(*rank) == lowest);
        match at.filter(|_| lowest != Some(Rank::Needed)) {
            Some(at) => drop(lines.remove(at)),
            None => break,
        }
    }
}
