//! Whom the master knows: asked for page by page when the list is opened; the cursor among them.

use ganger_proto::Request;
use ganger_proto::identity::IdentityRow;
use ganger_proto::limits::PAGE_IDENTITIES_MAX;

use super::ask;
use crate::model::overlay::{IdentitiesPage, Overlay};
use crate::model::{Asked, Model};
use crate::msg::Effect;
use crate::text::{clean, clean_in_place};

/// Identities that are asked for; the view says that there are more.
pub(crate) const IDENTITIES_MAX: usize = 20_000;

pub(super) fn open(model: &mut Model, out: &mut Vec<Effect>) {
    model.overlays.push(Overlay::Identities(Box::default()));
    let first = Request::Identities { after: None, rows: PAGE_IDENTITIES_MAX };
    ask(model, first, Asked::Identities, out);
}

/// Asks for the next page.
pub(super) fn refresh(model: &mut Model, out: &mut Vec<Effect>) {
    let under_way = model.asked.values().any(|asked| *asked == Asked::Identities);
    let up = model.is_up();
    let Some(page) = page(model).filter(|_| up && !under_way) else { return };
    if let Some(after) = page.next.take() {
        let next = Request::Identities { after: Some(after), rows: PAGE_IDENTITIES_MAX };
        ask(model, next, Asked::Identities, out);
    }
}

pub(super) fn take(model: &mut Model, mut rows: Vec<IdentityRow>) {
    for row in &mut rows {
        clean_in_place(&mut row.from);
        clean_in_place(&mut row.certificate.serial);
        clean_in_place(&mut row.certificate.fingerprint);
    }
    let Some(page) = page(model) else { return };
    let last = rows.last().map(|row| (row.actor.role, row.actor.name.clone()));
    let all = page.rows.get_or_insert_default();
    all.append(&mut rows);
    page.next = last.filter(|_| all.len() < IDENTITIES_MAX);
}

pub(super) fn refused(model: &mut Model, why: &str) {
    if let Some(page) = page(model) {
        page.error = clean(why);
    }
}

fn page(model: &mut Model) -> Option<&mut IdentitiesPage> {
    model.overlays.iter_mut().find_map(|overlay| {
        let Overlay::Identities(page) = overlay else { return None };
        Some(page.as_mut())
    })
}

/// Moves the cursor to a row; the view keeps it in sight.
pub(super) fn go_to(model: &mut Model, row: usize) {
    let Some(page) = page(model) else { return };
    let rows = page.rows.as_ref().map_or(0, Vec::len);
    page.at = row.min(rows.saturating_sub(1));
}
