//! The line that names what is saved: Enter saves under the name.

use super::{inject, lists, tasks};
use crate::model::field::Line;
use crate::model::overlay::Overlay;
use crate::model::save::{SaveLine, SaveThen};
use crate::model::{Model, Tone};
use crate::msg::Effect;

pub(super) fn open(model: &mut Model, title: &str, name: &str, then: SaveThen) {
    let save = SaveLine { title: title.to_owned(), line: Line::of(name), then };
    model.overlays.push(Overlay::Save(Box::new(save)));
}

pub(super) fn accept(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Save(save)) = model.overlays.last() else { return };
    let then = save.then;
    let name = match save.name() {
        Ok(name) => name,
        Err(why) => return model.say(Tone::Bad, why),
    };
    model.overlays.pop();
    match then {
        SaveThen::Template => inject::save_as(model, name),
        SaveThen::Filter => lists::save_as(model, name),
        SaveThen::Priority => tasks::priority_typed(model, &name, out),
        SaveThen::GoTask => lists::go_typed(model, &name),
    }
}
