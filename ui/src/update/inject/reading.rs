//! Files and names that the form takes its arguments from: when they are asked for, and what comes
//! of it. Reads nothing itself; see run.rs.

use std::sync::Arc;

use ganger_proto::ArgList;

use super::history::is_open;
use crate::model::Model;
use crate::model::form::{Purpose, Reading, Wanted};
use crate::model::overlay::Overlay;
use crate::msg::Effect;

impl Reading {
    /// A change to the form calls off what was to be sent once the file is read.
    pub(super) fn forget_submit(&mut self) {
        if let Self::Asked(_, purpose) = self {
            *purpose = Purpose::Preview;
        }
    }
}

/// Asks for what the form names, once nobody types it.
pub(crate) fn read_when_left(model: &mut Model, out: &mut Vec<Effect>) {
    if model.form.source_field() != Some(model.form.focus) {
        read(model, out);
    }
}

/// Asks for what the form names, unless it was read before.
pub(crate) fn read(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(wanted) = model.form.wanted() else { return };
    if is_open(model) && !model.form.reading.is_of(&wanted) {
        ask(model, wanted, Purpose::Preview, out);
    }
}

/// Asks for it again, to send what is there at this moment. Tells whether the form needs it.
pub(super) fn read_to_submit(model: &mut Model, out: &mut Vec<Effect>) -> bool {
    let Some(wanted) = model.form.wanted() else { return false };
    ask(model, wanted, Purpose::Submit, out);
    true
}

fn ask(model: &mut Model, wanted: Wanted, purpose: Purpose, out: &mut Vec<Effect>) {
    model.form.reading = Reading::Asked(wanted.clone(), purpose);
    model.form.check();
    out.push(Effect::Read(wanted));
}

/// Takes what was read; an answer to an older question is left aside.
pub(crate) fn was_read(model: &mut Model, wanted: Wanted, result: Result<ArgList, String>) {
    let Reading::Asked(asked, purpose) = &model.form.reading else { return };
    if *asked != wanted {
        return;
    }
    let purpose = *purpose;
    let at = model.now.wall;
    model.form.reading = match result {
        Ok(list) => Reading::Read { wanted, at, list: Arc::new(list) },
        Err(why) => Reading::Failed(wanted, crate::text::clean(&why)),
    };
    model.form.check();
    if purpose == Purpose::Submit && matches!(model.overlays.last(), Some(Overlay::Inject)) {
        super::submit_checked(model);
    }
}
