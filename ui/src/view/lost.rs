//! What lies over the last picture while there is no connection.

use ganger_proto::time::HumanMs;

use super::pen::{Pen, Piece, piece};
use super::{centred, clock};
use crate::layout::Frame;
use crate::model::{LinkState, Model};
use crate::text::{cut, wrap};
use crate::theme::Role;

pub(super) fn dialog(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let columns = usize::from(frame.body.width.clamp(5, 60) - 4);
    let (title, lines) = match &model.link {
        LinkState::Up(_) => return,
        LinkState::Dialling => {
            ("Connecting", vec![vec![piece("dialling the master …", Role::Text)]])
        }
        LinkState::Refused(sentence) => {
            ("The master refuses this screen", refused(sentence, columns))
        }
        LinkState::Lost { reason, retry_at_ms, .. } => {
            ("Connection lost", lost(model, (reason, columns), *retry_at_ms))
        }
    };
    let area = centred(frame.body, 60, lines.len() as u16 + 2);
    if area.height < 3 {
        if let Some(line) = lines.first() {
            pen.within(frame.body).put_all(1, frame.body.y, line);
        }
        return;
    }
    pen.within(area).clear(Role::Text);
    let inner = pen.frame(area, title, &[], Role::BorderFocus);
    let mut pen = pen.within(inner);
    for (y, line) in (inner.y..).zip(lines) {
        pen.put_all(inner.x + 1, y, &line);
    }
}

fn refused(sentence: &str, columns: usize) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> =
        wrap(sentence, columns).into_iter().map(|line| vec![piece(line, Role::Bad)]).collect();
    lines.push(Vec::new());
    lines.push(vec![
        piece("It is not tried again. ", Role::Dim),
        piece("q", Role::Key),
        piece(" quit", Role::Text),
    ]);
    lines
}

fn lost(model: &Model, (reason, columns): (&str, usize), retry_at_ms: u64) -> Vec<Vec<Piece>> {
    let left = retry_at_ms.saturating_sub(model.now.mono_ms);
    let next = match left {
        0 => "trying …".to_owned(),
        _ => format!("next try in {}", HumanMs(left / 100 * 100)),
    };
    let mut lines: Vec<Vec<Piece>> = wrap(&cut(reason, 160), columns)
        .into_iter()
        .map(|line| vec![piece(line, Role::Note)])
        .collect();
    lines.push(vec![piece(next, Role::Text)]);
    lines.push(Vec::new());
    if let Some(picture) = &model.picture {
        let at = clock(picture.at, model.utc_offset_min);
        lines.push(vec![
            piece("Showing the picture of ", Role::Text),
            piece(at, Role::Strong),
            piece(". Actions are off;", Role::Text),
        ]);
        lines.push(vec![piece("what you type in the inject form is kept.", Role::Text)]);
        lines.push(Vec::new());
    }
    lines.push(vec![
        piece("r", Role::Key),
        piece(" try now   ", Role::Text),
        piece("1–5", Role::Key),
        piece(" screens   ", Role::Text),
        piece("q", Role::Key),
        piece(" quit", Role::Text),
    ]);
    lines
}
