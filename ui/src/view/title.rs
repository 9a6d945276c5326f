//! The title of the terminal's window: what a person wants to know of a screen that is behind
//! others. Who sets it is terminal.rs.

use crate::Glyphs;
use crate::model::{LinkState, Model};
use crate::text::short;

/// Returns the title.
pub(crate) fn title(model: &Model, glyphs: Glyphs) -> String {
    let dot = match glyphs {
        Glyphs::Unicode => " · ",
        Glyphs::Ascii => " - ",
    };
    let mut parts = vec!["ganger".to_owned()];
    match &model.link {
        LinkState::Up(_) => {}
        LinkState::Dialling => parts.push("dialling".to_owned()),
        LinkState::Lost { .. } => parts.push("connection lost".to_owned()),
        LinkState::Refused(_) => parts.push("refused".to_owned()),
    }
    let picture = model.picture.as_ref().filter(|_| model.is_up());
    if let Some(picture) = picture {
        let counts = &picture.master.counts;
        let running = counts.running + counts.sent;
        for (count, word) in [
            (counts.queued + counts.delayed, "queued"),
            (running, "running"),
            (counts.blocked, "blocked"),
            (counts.failed, "failed"),
        ] {
            if count > 0 {
                parts.push(format!("{} {word}", short(count)));
            }
        }
        if parts.len() == 1 {
            parts.push("idle".to_owned());
        }
        if !picture.master.trouble.is_empty() {
            parts.push("store in trouble".to_owned());
        }
    }
    parts.join(dot)
}

#[cfg(test)]
mod tests {
    use ganger_proto::picture::Counts;

    use super::*;
    use crate::link::Inbound;
    use crate::sample::{busy, empty, hear, showing};

    #[test]
    fn the_title_says_how_it_goes() {
        let mut picture = busy();
        let counts = &mut picture.master.counts;
        (counts.queued, counts.delayed, counts.sent, counts.running) = (12_431, 0, 0, 7);
        counts.failed = 3;
        counts.blocked = 0;
        let waits = Counts { queued: 0, blocked: 12, failed: 0, ..*counts };
        let mut model = showing((80, 24), picture);
        let text = title(&model, Glyphs::Unicode);
        assert_eq!(text, "ganger · 12.4k queued · 7 running · 3 failed");
        assert!(title(&model, Glyphs::Ascii).is_ascii());
        let reason = "gone".to_owned();
        hear(&mut model, Inbound::Lost { reason, tries: 1, retry_in_ms: 5 });
        assert_eq!(title(&model, Glyphs::Unicode), "ganger · connection lost");
        let mut picture = empty();
        picture.master.counts = waits;
        let model = showing((80, 24), picture);
        assert_eq!(title(&model, Glyphs::Unicode), "ganger · 7 running · 12 blocked");
        let model = showing((80, 24), empty());
        assert_eq!(title(&model, Glyphs::Unicode), "ganger · idle");
    }
}
