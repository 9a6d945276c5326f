//! What keys do to the text that is read: details, output, log.

use ganger_proto::Refusal;
use ganger_proto::follow::Followed;

use crate::keymap::Action;
use crate::model::Model;
use crate::msg::Effect;

pub(super) fn act(_model: &mut Model, _action: Action, _out: &mut Vec<Effect>) {}

pub(super) fn followed(_model: &mut Model, _tag: u64, _result: Result<Followed, Refusal>) {}
