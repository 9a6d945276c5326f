//! The model's only way to change: one message in, effects out. Reads no clock and sends nothing;
//! see run.rs.

mod alarm;
mod bulk;
mod confirm;
mod copy;
mod details;
mod files;
mod filter;
mod found;
mod help;
mod identities;
mod inbound;
mod inject;
mod join;
mod keys;
mod lists;
mod marks;
mod menu;
mod mouse;
mod palette;
mod reader;
mod save;
mod scroll;
mod shell;
mod tasks;
mod why;
mod worker;
mod workers;

pub(crate) use identities::IDENTITIES_MAX;
pub(crate) use inject::{again_label, prefill, quick_meaning};
pub(crate) use shell::COMMANDS;

use ganger_proto::Request;

use crate::layout;
use crate::link::Outbound;
use crate::model::{Asked, Model, Tone};
use crate::msg::{Effect, Msg};

/// Takes one message.
pub(crate) fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut out = Vec::new();
    match msg {
        Msg::Key(key) => {
            keys::key(model, key, &mut out);
            inject::read_when_left(model, &mut out);
        }
        Msg::Paste(text) => keys::paste(model, &text),
        Msg::Mouse(pointed) => mouse::pointed(model, pointed, &mut out),
        Msg::Attention(attention) => model.outside.attention = attention,
        Msg::Resize(columns, rows) => model.size = (columns, rows),
        Msg::Second => second(model, &mut out),
        Msg::Link(inbound) => inbound::inbound(model, inbound),
        Msg::Copied(Ok(how)) => model.say(Tone::Good, how),
        Msg::Copied(Err(why)) | Msg::NotKept(why) => model.say(Tone::Bad, why),
        Msg::Edited(result) => inject::edited(model, result),
        Msg::WasRead(wanted, result) => inject::was_read(model, wanted, result),
    }
    settle(model, &mut out);
    out
}

/// What follows from the state, whatever changed it.
fn settle(model: &mut Model, out: &mut Vec<Effect>) {
    lists::sort_as_kept(model);
    layout::set_heights(model);
    join::mint_for_welcome(model, out);
    inject::pump(model, out);
    details::settle(model, out);
    let watch = model.watch();
    if model.is_up() && model.watch_sent.as_ref() != Some(&watch) {
        model.watch_number += 1;
        model.note_watch();
        let watch = model.watch();
        model.watch_sent = Some(watch.clone());
        out.push(Effect::Send(Outbound::Watch(watch)));
    }
    alarm::settle(model, out);
    files::pump(model, out);
    if model.kept != model.kept_sent {
        model.kept_sent.clone_from(&model.kept);
        out.push(Effect::Keep(Box::new(model.kept.clone())));
    }
}

fn second(model: &mut Model, out: &mut Vec<Effect>) {
    let now = model.now.mono_ms;
    if model.toast.as_ref().is_some_and(|toast| toast.until_ms <= now) {
        model.toast = None;
    }
    if model.undo.as_ref().is_some_and(|undo| undo.until_ms <= now) {
        model.undo = None;
    }
    details::refresh(model, out);
    inject::read(model, out);
    worker::refresh(model, out);
    identities::refresh(model, out);
    why::refresh(model, out);
}

/// Asks the master, and remembers what for.
fn ask(model: &mut Model, request: Request, asked: Asked, out: &mut Vec<Effect>) {
    model.tag += 1;
    model.asked.insert(model.tag, asked);
    out.push(Effect::Send(Outbound::Request { tag: model.tag, request }));
}

#[cfg(test)]
pub(crate) mod tests;
