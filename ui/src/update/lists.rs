//! What keys do to lists: ranges, marks of all, sorting, columns, jumps.

use crate::keymap::Action;
use crate::model::Model;
use crate::msg::Effect;

pub(super) fn act(_model: &mut Model, _action: Action, _out: &mut Vec<Effect>) {}
