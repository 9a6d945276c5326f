//! How the screen looks and which keys it has: flags, variables, `ganger.toml` and theme files
//! brought together and checked, before a master is dialled.

use std::fs;
use std::path::Path;

use ganger_ui as ui;

use crate::config::{self, ConfigError, NotifyWish, ScreenConfig};

use super::error::Result;
use super::place::Place;
use super::{ScreenFlags, text};

/// Theme files that are looked at, and bytes of each.
const FILES_MAX: usize = 64;
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A theme of the home folder, or why it cannot be read.
type OwnTheme = (String, std::result::Result<ui::Theme, String>);

/// What was chosen for the screen.
pub(super) struct Looks {
    pub(super) theme: ui::ThemeChoice,
    pub(super) themes: Vec<OwnTheme>,
    pub(super) depth: ui::Depth,
    pub(super) keymap: ui::Keymap,
    pub(super) access: ui::Access,
    pub(super) notify: ui::Notify,
}

impl Looks {
    /// Brings everything together.
    ///
    /// # Errors
    /// Names the flag, the variable, or the file with its line that cannot be used.
    pub(super) fn choose(place: &Place, flags: ScreenFlags) -> Result<Self> {
        let access = if flags.read_only { ui::Access::ReadOnly } else { ui::Access::Full };
        let config = ScreenConfig::resolve(&place.home, flags.theme, &config::process_env)?;
        let themes = themes(&place.home.join("themes"));
        // Nothing would come of the colours that a flag or a file asks for.
        let theme = match config::process_env("NO_COLOR") {
            Some(_) => ui::ThemeChoice::Wanted("mono".to_owned()),
            None => theme(&config, &themes)?,
        };
        let keymap = keymap(&config)?;
        let variable = |name: &str| {
            config::process_env(name).map(|value| value.to_string_lossy().into_owned())
        };
        let notify = notify(config.notify, &config::process_env);
        Ok(Self { theme, themes, depth: depth(&variable), keymap, access, notify })
    }
}

/// Chooses the sequence that the terminal knows. tmux and screen keep notifications to themselves
/// but pass the bell on.
fn notify(wish: NotifyWish, env: &config::Env) -> ui::Notify {
    let says = |name: &str, word: &str| {
        env(name).is_some_and(|value| value.to_string_lossy().starts_with(word))
    };
    match wish {
        NotifyWish::Off => ui::Notify::Off,
        NotifyWish::Bell => ui::Notify::Bell,
        NotifyWish::Osc if says("TMUX", "") || says("STY", "") => ui::Notify::Bell,
        NotifyWish::Osc if says("VTE_VERSION", "") || says("TERM", "rxvt") => ui::Notify::Osc777,
        NotifyWish::Osc => ui::Notify::Osc9,
    }
}

/// The flag or the variable decides for this run, the file for runs in which nothing else was
/// chosen.
fn theme(
    config: &ScreenConfig,
    own: &[OwnTheme],
) -> std::result::Result<ui::ThemeChoice, ConfigError> {
    if let Some((name, origin)) = &config.theme_wanted {
        let value = |reason| ConfigError::Value { origin: origin.clone(), reason };
        check(name, own).map_err(value)?;
        return Ok(ui::ThemeChoice::Wanted(name.clone()));
    }
    if let Some((name, line)) = &config.theme_usual {
        check(name, own).map_err(|reason| config.fault(*line, reason))?;
        return Ok(ui::ThemeChoice::Usual(name.clone()));
    }
    Ok(ui::ThemeChoice::Usual("ansi16".to_owned()))
}

fn check(name: &str, own: &[OwnTheme]) -> std::result::Result<(), String> {
    match own.iter().find(|(known, _)| known == name) {
        Some((_, Ok(_))) => Ok(()),
        Some((_, Err(why))) => Err(why.clone()),
        None if ui::Theme::names().contains(&name) => Ok(()),
        None => {
            let own = own.iter().map(|(name, _)| name.as_str());
            let names: Vec<_> = ui::Theme::names().into_iter().chain(own).collect();
            let (told, names) = (text::line(name), names.join(" "));
            Err(format!(
                "there is no theme `{told}`; the themes are {names}, and themes/NAME.toml in the \
                 home folder adds one"
            ))
        }
    }
}

/// Reads the theme files of the home; one that cannot be read keeps its reason, since nobody may
/// ever choose it.
fn themes(folder: &Path) -> Vec<OwnTheme> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut themes = Vec::new();
    for file in files.take(FILES_MAX).flatten() {
        let path = file.path();
        let is_theme = path.extension().is_some_and(|extension| extension == "toml");
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if is_theme && text::line(name) == name && !name.contains(' ') {
            let at = |why: String| format!("{}: {why}", path.display());
            themes.push((name.to_owned(), read_theme(&path).map_err(at)));
        }
    }
    themes.sort_by(|(a, _), (b, _)| a.cmp(b));
    themes
}

fn read_theme(path: &Path) -> std::result::Result<ui::Theme, String> {
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(format!("a theme is a file of at most {} KiB", FILE_BYTES_MAX >> 10));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    ui::Theme::parse(&text).map_err(|error| error.to_string())
}

fn keymap(config: &ScreenConfig) -> std::result::Result<ui::Keymap, ConfigError> {
    let custom: Vec<ui::CustomKey> = config
        .keys
        .iter()
        .map(|key| ui::CustomKey {
            place: key.place.clone(),
            action: key.action.clone(),
            chords: key.chords.clone(),
            line: key.line,
        })
        .collect();
    ui::Keymap::with(&custom).map_err(|fault| config.fault(fault.line, fault.why))
}

/// Tells how many colours the terminal shows, by what it says of itself.
fn depth(variable: &dyn Fn(&str) -> Option<String>) -> ui::Depth {
    const FULL: [&str; 6] = ["direct", "kitty", "alacritty", "ghostty", "foot", "wezterm"];
    const PROGRAMS: [&str; 4] = ["iTerm.app", "WezTerm", "ghostty", "vscode"];
    let colours = variable("COLORTERM").unwrap_or_default();
    let term = variable("TERM").unwrap_or_default();
    // tmux keeps the variable of the terminal it was started in, and need not be in it any more.
    let program = variable("TERM_PROGRAM").unwrap_or_default();
    if matches!(colours.as_str(), "truecolor" | "24bit")
        || FULL.iter().any(|word| term.contains(word))
        || PROGRAMS.contains(&program.as_str())
    {
        ui::Depth::Full
    } else if term.contains("256") {
        ui::Depth::Indexed
    } else {
        ui::Depth::Sixteen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(wanted: Option<&str>, usual: Option<&str>) -> ScreenConfig {
        ScreenConfig {
            path: "ganger.toml".into(),
            theme_wanted: wanted.map(|name| (name.to_owned(), "--theme".to_owned())),
            theme_usual: usual.map(|name| (name.to_owned(), 3)),
            notify: NotifyWish::default(),
            keys: Vec::new(),
        }
    }

    #[test]
    fn themes_rank_and_mistakes_name_their_place() {
        let own = [("mine".to_owned(), Err("/t/mine.toml: line 2 of the theme: no".to_owned()))];
        let check = |wanted, usual, expected: &str| {
            let choice = theme(&config(wanted, usual), &own);
            let told = choice.map(|choice| format!("{choice:?}")).map_err(|e| e.to_string());
            let told = told.unwrap_or_else(|why| why);
            assert!(told.contains(expected), "{told}");
        };
        check(None, None, "Usual(\"ansi16\")");
        check(None, Some("nord"), "Usual(\"nord\")");
        check(Some("mono"), Some("nord"), "Wanted(\"mono\")");
        check(Some("x"), None, "--theme: there is no theme `x`; the themes are ansi16");
        check(None, Some("x"), "line 3 of ganger.toml cannot be read: there is no theme `x`");
        check(Some("mine"), None, "--theme: /t/mine.toml: line 2 of the theme: no");
    }

    #[test]
    fn theme_files_are_read_by_their_names() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        write("good.toml", "[roles]\nkey = \"bold #ff8800\"\n");
        write("bad.toml", "[roles]\nkye = \"bold\"\n");
        write("notes.txt", "no theme");
        fs::create_dir(home.path().join("folder.toml")).unwrap();
        let read = themes(home.path());
        let names: Vec<_> =
            read.iter().map(|(name, theme)| (name.as_str(), theme.is_ok())).collect();
        assert_eq!(names, [("bad", false), ("folder", false), ("good", true)]);
        let why = read[0].1.as_ref().unwrap_err();
        assert!(why.contains("bad.toml: line 2 of the theme: `kye` is not a role"), "{why}");
        assert!(themes(&home.path().join("none")).is_empty());
    }

    #[test]
    fn a_terminal_tells_its_colours() {
        let check = |pairs: &[(&str, &str)], expected: ui::Depth| {
            let variable = |name: &str| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(depth(&variable), expected, "{pairs:?}");
        };
        check(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], ui::Depth::Full);
        check(&[("TERM", "xterm-kitty")], ui::Depth::Full);
        check(&[("TERM", "tmux-256color")], ui::Depth::Indexed);
        check(&[("TERM", "linux")], ui::Depth::Sixteen);
        check(&[], ui::Depth::Sixteen);
    }

    #[test]
    fn the_terminal_is_asked_in_its_own_words() {
        let check = |variable: Option<(&'static str, &'static str)>, expected| {
            let found = move |name: &str| variable.filter(|(known, _)| *known == name);
            let env = move |name: &str| found(name).map(|(_, value)| value.into());
            assert_eq!(notify(NotifyWish::Osc, &env), expected, "{variable:?}");
        };
        check(None, ui::Notify::Osc9);
        check(Some(("VTE_VERSION", "7600")), ui::Notify::Osc777);
        check(Some(("TERM", "rxvt-unicode-256color")), ui::Notify::Osc777);
        check(Some(("TERM", "xterm-kitty")), ui::Notify::Osc9);
        check(Some(("TMUX", "socket")), ui::Notify::Bell);
        assert_eq!(notify(NotifyWish::Off, &config::process_env), ui::Notify::Off);
    }
}
