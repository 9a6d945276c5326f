//! What keys do to the program around the lists: the palette, the mouse.

use crate::keymap::Action;
use crate::model::Model;
use crate::msg::Effect;

pub(super) fn act(_model: &mut Model, _action: Action, _out: &mut Vec<Effect>) {}
