//! Whom the master knows: one line each, and all about the one under the cursor below.

use ganger_proto::identity::{IdentityRow, IdentityState};
use ganger_proto::time::HumanMs;
use ratatui::layout::Rect;

use super::pen::{Pen, Piece, piece};
use super::{table, worker};
use crate::layout::{Frame, Width};
use crate::model::Model;
use crate::model::overlay::IdentitiesPage;
use crate::text::{counted, grouped};
use crate::theme::Role;
use crate::update::IDENTITIES_MAX;

/// Lines about the one under the cursor, with one between.
const ABOUT: u16 = 4;
/// Time left from which a certificate needs no look, in milliseconds: three days.
const SOON_MS: u64 = 259_200_000;

pub(super) fn page(pen: &mut Pen<'_>, frame: &Frame, model: &Model, page: &IdentitiesPage) {
    let area = frame.body;
    pen.within(area).clear(Role::Text);
    let rows = page.rows.as_deref().unwrap_or_default();
    let count = match rows.len() {
        0 => Vec::new(),
        IDENTITIES_MAX.. => {
            vec![piece(format!("the first {}", grouped(rows.len() as u64)), Role::Dim)]
        }
        some => vec![piece(counted(some as u64, "identity", "identities"), Role::Dim)],
    };
    let inner = match frame.width {
        Width::Full | Width::Compact => pen.frame(area, "Identities", &count, Role::BorderFocus),
        Width::Small | Width::Tiny => area,
    };
    let mut inside = pen.within(Rect { width: inner.width.saturating_sub(1), ..inner });
    let first = match (&page.rows, page.error.is_empty()) {
        (_, false) => Some(piece(page.error.clone(), Role::Note)),
        (None, true) => Some(piece("asking the master …", Role::Dim)),
        (Some(_), true) => None,
    };
    if let Some(line) = first {
        inside.put_all(inner.x + 1, inner.y, &[line]);
        return;
    }
    inside.put_all(inner.x + 1, inner.y, &titles(inner.width));
    let seen = inner.height.saturating_sub(1 + ABOUT);
    let top = page.at.saturating_sub(usize::from(seen).saturating_sub(1));
    for (y, (at, row)) in (inner.y + 1..).zip(rows.iter().enumerate().skip(top).take(seen.into())) {
        inside.put_all(inner.x + 1, y, &line(model, row, inner.width));
        if at == page.at {
            table::select(&mut inside, Rect { y, height: 1, ..inner });
        }
    }
    if let Some(row) = rows.get(page.at) {
        let y = inner.y + inner.height.saturating_sub(ABOUT - 1);
        for (y, line) in (y..).zip(about(row)) {
            inside.put_all(inner.x + 1, y, &line);
        }
    }
}

/// Columns from which dates and addresses are shown.
const WIDE: u16 = 76;

fn titles(columns: u16) -> Vec<Piece> {
    let mut text =
        format!("{:<14}{:<20}{:<10}{:>7}{:>10}", "ROLE", "NAME", "STATE", "ONLINE", "LEFT");
    if columns >= WIDE {
        text.push_str("   SINCE       FROM");
    }
    vec![piece(text, Role::Dim)]
}

fn line(model: &Model, row: &IdentityRow, columns: u16) -> Vec<Piece> {
    let left = row.certificate.ends.since(model.master_now());
    let (state, left, role) = match row.state {
        IdentityState::Good if left < SOON_MS => ("good", HumanMs(left).to_string(), Role::Note),
        IdentityState::Good => ("good", HumanMs(left).to_string(), Role::Good),
        IdentityState::Expired => ("expired", "—".to_owned(), Role::Note),
        IdentityState::Revoked => ("revoked", "—".to_owned(), Role::Bad),
    };
    let role_word = if row.actor.admin { "administrator" } else { row.actor.role.word() };
    let name = crate::text::cut(row.actor.name.as_str(), 19);
    let (online, online_role) = match row.connections {
        0 => ("—".to_owned(), Role::Dim),
        some => (some.to_string(), Role::Text),
    };
    let mut line = vec![
        piece(format!("{role_word:<14}"), Role::Dim),
        piece(format!("{name:<20}"), Role::Strong),
        piece(format!("{state:<10}"), role),
        piece(format!("{online:>7}"), online_role),
        piece(format!("{left:>10}"), Role::Text),
    ];
    if columns >= WIDE {
        line.push(piece(format!("   {}  ", worker::date(row.since)), Role::Dim));
        line.push(piece(from(row).to_owned(), Role::Text));
    }
    line
}

fn about(row: &IdentityRow) -> [Vec<Piece>; 3] {
    let facts = &row.certificate;
    let (issued, ends) = (worker::date(facts.issued), worker::date(facts.ends));
    let dates = format!("issued {issued}, ends {ends}, by authority {}", row.authority);
    let field = |label: &str, text: &str| {
        vec![piece(format!("{label:<12}"), Role::Dim), piece(text, Role::Text)]
    };
    [
        field("certificate", &dates),
        field("serial", &facts.serial),
        field("key sha256", &facts.fingerprint),
    ]
}

fn from(row: &IdentityRow) -> &str {
    if row.from.is_empty() { "this machine" } else { &row.from }
}
