//! What `ganger.toml` and the environment say about the screen: its theme, its keys. What the names
//! mean is the screen's affair.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Env, GangerToml, line_at, parse_toml, read_text, text_of};

/// `[screen]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScreenToml {
    theme: Option<Spanned<String>>,
    notify: NotifyWish,
}

/// How the screen calls a person who looks elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyWish {
    /// By the terminal's bell.
    #[default]
    Bell,
    /// By a notification of the terminal.
    Osc,
    /// Not at all.
    Off,
}

/// `[keys.PLACE]`: an action's name, and its keys.
pub(super) type KeysToml = BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Vec<String>>>;

/// The screen's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScreenConfig {
    /// The file that the usual theme and the keys are from.
    pub path: PathBuf,
    /// The theme for this run, with the flag or variable that gave it.
    pub theme_wanted: Option<(String, String)>,
    /// The theme that the file names, and its line.
    pub theme_usual: Option<(String, usize)>,
    /// How a person is called who looks elsewhere.
    pub notify: NotifyWish,
    /// Keys in the order of the file.
    pub keys: Vec<KeyLine>,
}

/// `action = ["chord", ..]` under `[keys.PLACE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The place.
    pub place: String,
    /// The action.
    pub action: String,
    /// Its keys.
    pub chords: Vec<String>,
    /// Counted from 1.
    pub line: usize,
}

impl ScreenConfig {
    /// Brings the flag `--theme`, environment and `HOME/ganger.toml` together.
    ///
    /// # Errors
    /// Names the variable or the line of the file that cannot be used.
    pub fn resolve(home: &Path, theme: Option<String>, env: &Env) -> Result<Self, ConfigError> {
        let path = home.join("ganger.toml");
        let text = read_text(&path)?.unwrap_or_default();
        let file: GangerToml = parse_toml(&path, &text)?;
        let flag = theme.map(|name| (name, "--theme".to_owned()));
        let variable = text_of(env, "GANGER_THEME")?.map(|name| (name, "GANGER_THEME".to_owned()));
        let usual = file.screen.theme.map(|theme| {
            let line = line_at(&text, theme.span().start);
            (theme.into_inner(), line)
        });
        let mut keys = Vec::new();
        for (place, actions) in file.keys {
            for (action, chords) in actions {
                let line = line_at(&text, action.span().start);
                let place = place.get_ref().clone();
                keys.push(KeyLine { place, action: action.into_inner(), chords, line });
            }
        }
        keys.sort_by_key(|key| key.line);
        let theme_wanted = flag.or(variable);
        Ok(Self { path, theme_wanted, theme_usual: usual, notify: file.screen.notify, keys })
    }

    /// Returns the error for something that a line of the file says.
    pub fn fault(&self, line: usize, reason: String) -> ConfigError {
        ConfigError::File { path: self.path.clone(), line, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;

    use super::*;

    fn none(_: &str) -> Option<OsString> {
        None
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ganger.toml");
        fs::write(&path, text).unwrap();
        (home, path)
    }

    #[test]
    fn keys_and_theme_are_read_with_their_lines() {
        let (home, path) = file(
            "listen = \"[::]:1\"\n[screen]\ntheme = \"nord\"\n\n[keys.list]\nretry = [\"R\"]\n\
             cancel = []\n[keys.screen]\ninject = [\"n\", \"f3\"]\n",
        );
        let read = ScreenConfig::resolve(home.path(), None, &none).unwrap();
        assert_eq!(read.path, path);
        assert_eq!((read.theme_wanted, read.theme_usual), (None, Some(("nord".into(), 3))));
        let lines: Vec<_> = read
            .keys
            .iter()
            .map(|key| (key.place.as_str(), key.action.as_str(), key.chords.len(), key.line))
            .collect();
        assert_eq!(
            lines,
            [("list", "retry", 1, 6), ("list", "cancel", 0, 7), ("screen", "inject", 2, 9)]
        );
    }

    #[test]
    fn the_flag_beats_the_variable() {
        let home = tempfile::tempdir().unwrap();
        let variable = |name: &str| (name == "GANGER_THEME").then(|| OsString::from("mono"));
        let check = |flag: Option<&str>, expected: (&str, &str)| {
            let read =
                ScreenConfig::resolve(home.path(), flag.map(str::to_owned), &variable).unwrap();
            let (name, origin) = read.theme_wanted.unwrap();
            assert_eq!((name.as_str(), origin.as_str()), expected);
        };
        check(None, ("mono", "GANGER_THEME"));
        check(Some("nord"), ("nord", "--theme"));
    }

    #[test]
    fn mistakes_name_their_line() {
        let check = |text: &str, expected: &str| {
            let (home, _) = file(text);
            let error = ScreenConfig::resolve(home.path(), None, &none).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("[screen]\nthme = \"x\"\n", "line 2");
        check("[keys.list]\n\nretry = \"r\"\n", "line 3");
        check("[keys]\nlist = 5\n", "line 2");
        check("[kyes.list]\n", "line 1");
    }
}
