//! Join tokens: the one of the welcome state, minted when it is shown, and the join dialog.

use crossterm::event::{KeyCode, KeyEvent};
use ganger_proto::command::Invite;
use ganger_proto::{Request, Role, WallMs};

use super::{ask, keys::Step};
use crate::model::allowed::READ_ONLY;
use crate::model::overlay::{JoinDialog, JoinField, Overlay};
use crate::model::parse::{duration_ms, whole};
use crate::model::{Access, Asked, LinkState, Minted, Model, Tone, WelcomeToken};
use crate::msg::Effect;

/// How long the welcome's token is valid.
const WELCOME_TTL_MS: u64 = 3_600_000;
/// The longest a token may be valid.
const TTL_MS_MAX: u64 = 30 * 86_400_000;

/// Mints a token once the welcome is shown, and another when that one has ended.
pub(super) fn mint_for_welcome(model: &mut Model, out: &mut Vec<Effect>) {
    let is_operator =
        matches!(&model.link, LinkState::Up(connection) if connection.you.role == Role::Operator);
    if !model.is_welcome() || !is_operator {
        return;
    }
    if model.access == Access::ReadOnly {
        model.welcome = WelcomeToken::Refused(READ_ONLY.to_owned());
        return;
    }
    let replaces = match &model.welcome {
        WelcomeToken::Unasked => None,
        WelcomeToken::Minted(minted) if minted.expires <= model.master_now() => {
            Some(minted.id.clone())
        }
        WelcomeToken::Minted(_) | WelcomeToken::Asked | WelcomeToken::Refused(_) => return,
    };
    let ttl_ms = WELCOME_TTL_MS;
    let invite = Invite { role: Role::Worker, name: None, uses: 1, ttl_ms, replaces, again: false };
    model.welcome = WelcomeToken::Asked;
    ask(model, Request::Invite(invite), Asked::Welcome, out);
}

pub(super) fn minted_for_welcome(model: &mut Model, token: String, id: String, expires: WallMs) {
    model.welcome = WelcomeToken::Minted(Minted { token, id, expires });
}

pub(super) fn open(model: &mut Model) {
    model.overlays.push(Overlay::Join(Box::new(JoinDialog::new())));
}

/// Tells whether a key copies the line: `y`, where no text is typed.
pub(super) fn is_copy(model: &Model, key: KeyEvent) -> bool {
    let Some(Overlay::Join(dialog)) = model.overlays.last() else { return false };
    let no_text = dialog.focus == JoinField::Role;
    no_text && dialog.minted.is_some() && key.code == KeyCode::Char('y')
}

pub(super) fn typed(dialog: &mut JoinDialog, key: KeyEvent) {
    match (dialog.focus, key.code) {
        (_, KeyCode::Up) => field(dialog, Step::Previous),
        (_, KeyCode::Down) => field(dialog, Step::Next),
        (JoinField::Role, KeyCode::Left) => role(dialog, Step::Previous),
        (JoinField::Role, KeyCode::Right | KeyCode::Char(' ')) => role(dialog, Step::Next),
        (JoinField::Role | JoinField::Name | JoinField::Uses | JoinField::Ttl, _) => {
            if let Some(line) = dialog.line_mut() {
                line.key(key);
                dialog.error.clear();
            }
        }
    }
}

fn role(dialog: &mut JoinDialog, step: Step) {
    dialog.role = neighbour(&Role::ALL, dialog.role, step);
    dialog.minted = None;
    dialog.error.clear();
}

pub(super) fn field(dialog: &mut JoinDialog, step: Step) {
    dialog.focus = neighbour(&JoinField::ALL, dialog.focus, step);
}

fn neighbour<T: Copy + PartialEq>(all: &[T], now: T, step: Step) -> T {
    let at = all.iter().position(|item| *item == now).unwrap_or(0);
    match step {
        Step::Next => all[(at + 1) % all.len()],
        Step::Previous => all[(at + all.len() - 1) % all.len()],
    }
}

/// Enter: asks for a token with what the dialog says; an unused one shown before is withdrawn.
pub(super) fn mint(model: &mut Model, out: &mut Vec<Effect>) {
    let is_up = model.is_up();
    let Some(Overlay::Join(dialog)) = model.overlays.last_mut() else { return };
    if !is_up {
        dialog.error = "there is no connection; try again when it is back".to_owned();
        return;
    }
    match read(dialog) {
        Ok(invite) => {
            dialog.error.clear();
            ask(model, Request::Invite(invite), Asked::Join, out);
        }
        Err((field, why)) => {
            dialog.focus = field;
            dialog.error = why;
        }
    }
}

fn read(dialog: &JoinDialog) -> Result<Invite, (JoinField, String)> {
    let name = dialog.wished_name().map_err(|why| (JoinField::Name, why))?;
    let uses = match whole(dialog.uses.text(), "the number of machines") {
        Ok(uses @ 1..=1_000) => Ok(uses as u32),
        Ok(_) => Err("1 to 1000 may join with one token".to_owned()),
        Err(why) => Err(why),
    };
    let ttl_ms = match duration_ms(dialog.ttl.text()) {
        Ok(0) => Err("a token must be valid for a while, such as 1h".to_owned()),
        Ok(ms) if ms > TTL_MS_MAX => Err("a token is valid for at most 30d".to_owned()),
        read => read,
    };
    Ok(Invite {
        role: dialog.role,
        name,
        uses: uses.map_err(|why| (JoinField::Uses, why))?,
        ttl_ms: ttl_ms.map_err(|why| (JoinField::Ttl, why))?,
        replaces: dialog.shown.clone(),
        again: false,
    })
}

pub(super) fn minted(model: &mut Model, token: String, id: String, expires: WallMs) {
    for overlay in &mut model.overlays {
        if let Overlay::Join(dialog) = overlay {
            dialog.shown = Some(id.clone());
            // The line is there to be copied: `y` does it where no text is typed.
            dialog.focus = JoinField::Role;
            dialog.minted = Some(Minted { token: token.clone(), id: id.clone(), expires });
        }
    }
}

pub(super) fn refused(model: &mut Model, why: &str) {
    match model.overlays.last_mut() {
        Some(Overlay::Join(dialog)) => dialog.error = crate::text::clean(why),
        _ => model.say(Tone::Note, why),
    }
}
