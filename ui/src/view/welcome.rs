//! What is shown until the first task: how a worker joins, and how work goes in.

use ganger_proto::Role as CertificateRole;

use super::pen::{Pen, Piece, piece};
use crate::layout::{Frame, Width};
use crate::model::{Model, WelcomeToken};
use crate::text::{chunks, counted, seconds, width, wrap};
use crate::theme::Role;

pub(super) fn welcome(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let area = frame.body;
    let inner = match frame.width {
        Width::Full | Width::Compact if area.height > 8 => {
            pen.frame(area, "Welcome", &[], Role::BorderFocus)
        }
        Width::Full | Width::Compact | Width::Small | Width::Tiny => area,
    };
    let margin = if inner.width > 60 { 2 } else { 1 };
    let columns = inner.width.saturating_sub(2 * margin);
    let mut lines = lines(model, usize::from(columns));
    squeeze(&mut lines, usize::from(inner.height));
    let mut pen = pen.within(inner);
    for (y, line) in (inner.y..).zip(lines) {
        pen.put_all(inner.x + margin, y, &line);
    }
}

type Line = Vec<Piece>;

/// Takes empty lines away until the rest fits.
fn squeeze(lines: &mut Vec<Line>, rows: usize) {
    while lines.len() > rows {
        match lines.iter().rposition(Vec::is_empty) {
            Some(at) => drop(lines.remove(at)),
            None => break,
        }
    }
}

fn lines(model: &Model, columns: usize) -> Vec<Line> {
    let mut lines = vec![Line::new()];
    lines.extend(gang(model));
    lines.push(Line::new());
    lines.extend(token(model, columns));
    lines.push(Line::new());
    lines.extend(work(model));
    lines.push(Line::new());
    lines.extend(place(model, columns));
    lines
}

fn gang(model: &Model) -> Vec<Line> {
    let Some(picture) = &model.picture else { return Vec::new() };
    let gang = picture.gang;
    if gang.up == 0 {
        return vec![vec![
            piece("No workers yet.", Role::Strong),
            piece("  Only this machine?  ", Role::Text),
            piece("W", Role::Key),
            piece("  starts a local worker", Role::Text),
        ]];
    }
    let names: Vec<&str> =
        model.worker_rows().iter().take(3).map(|row| row.name.as_str()).collect();
    let more = if gang.up > 3 { " …" } else { "" };
    let slots = counted(u64::from(gang.slots), "slot", "slots");
    vec![vec![
        piece("● ", Role::Good),
        piece(counted(u64::from(gang.up), "worker is up", "workers are up"), Role::Strong),
        piece(format!(": {}{more}, {slots}", names.join(", ")), Role::Text),
    ]]
}

fn token(model: &Model, columns: usize) -> Vec<Line> {
    let minted = match &model.welcome {
        WelcomeToken::Minted(minted) => minted,
        WelcomeToken::Refused(why) => {
            return wrap(why, columns).into_iter().map(|l| vec![piece(l, Role::Note)]).collect();
        }
        WelcomeToken::Unasked | WelcomeToken::Asked => {
            return vec![vec![piece("a join line is being made …", Role::Dim)]];
        }
    };
    let another = match model.picture.as_ref().is_some_and(|picture| picture.gang.up > 0) {
        true => "To add another machine, run there:",
        false => "On another machine run:",
    };
    let mut lines = vec![vec![piece(another, Role::Text)], Line::new()];
    let line = minted.line(CertificateRole::Worker);
    for part in chunks(&line, columns.saturating_sub(4).max(16)) {
        let padded = format!(" {part} ");
        lines.push(vec![piece("  ", Role::Text), piece(padded, Role::Token)]);
    }
    // Minutes are enough for an hour, and an idle screen then draws nothing.
    let left = minted.expires.since(model.master_now());
    let left = seconds(if left > 120_000 { left / 60_000 * 60_000 } else { left });
    let mut how = vec![
        piece("   ", Role::Text),
        piece("y", Role::Key),
        piece(" copy  ·  valid ", Role::Text),
        piece(left, Role::Strong),
        piece(", one machine", Role::Text),
    ];
    if columns >= 70 {
        how.push(piece("  ·  ", Role::Text));
        how.push(piece("J", Role::Key));
        how.push(piece(" new token / more options", Role::Text));
    }
    lines.push(Line::new());
    lines.push(how);
    let pins = "   the token pins this master’s CA; it is shown here only, never in a log";
    if width(pins) <= columns {
        lines.push(vec![piece(pins, Role::Dim)]);
    }
    lines
}

fn work(model: &Model) -> Vec<Line> {
    let waits = match model.picture.as_ref().is_some_and(|picture| picture.gang.up > 0) {
        true => "Put some work in:",
        false => "Then put some work in:",
    };
    vec![
        vec![piece(waits, Role::Strong)],
        vec![
            piece("   ", Role::Text),
            piece("I", Role::Key),
            piece("  put 10 random numbers; workers answer  ", Role::Text),
            piece("n * n = n²", Role::Running),
        ],
        vec![
            piece("   ", Role::Text),
            piece("i", Role::Key),
            piece("  write your own: shell command, argv, ranges, paste a list", Role::Text),
        ],
        vec![
            piece("   ", Role::Text),
            piece("?", Role::Key),
            piece("  all keys", Role::Text),
            piece("    ganger submit --help  from any shell", Role::Dim),
        ],
    ]
}

fn place(model: &Model, columns: usize) -> Vec<Line> {
    let Some(picture) = &model.picture else { return Vec::new() };
    let master = &picture.master;
    let home = if master.home.is_empty() { &model.home } else { &master.home };
    let listening = format!("listening on {}/udp (QUIC, mTLS)", master.address);
    let both = format!("{listening}   · home {home}");
    let mut lines = match width(&both) <= columns {
        true => vec![vec![piece(both, Role::Dim)]],
        false => {
            vec![vec![piece(listening, Role::Dim)], vec![piece(format!("home {home}"), Role::Dim)]]
        }
    };
    if !master.refused.is_empty() {
        lines.push(vec![piece(format!("! {}", master.refused), Role::Note)]);
    }
    lines
}
