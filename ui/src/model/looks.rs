//! The themes that may be chosen, and the one that is. What they say is in theme.rs.

use super::Model;
use super::overlay::Overlay;
use super::palette::What;
use crate::options::ThemeChoice;
use crate::theme::Theme;

/// The themes at hand.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    /// By name; one's own that cannot be read say why.
    themes: Vec<(String, Result<Theme, String>)>,
    chosen: usize,
}

impl Default for Looks {
    fn default() -> Self {
        let built_in = Theme::names().into_iter().map(|name| {
            let theme = Theme::named(name).map_err(|error| error.to_string());
            (name.to_owned(), theme)
        });
        Self { themes: built_in.collect(), chosen: 0 }
    }
}

impl Looks {
    /// Returns the built-in themes and these, which take the place of those with the same name.
    pub(crate) fn with(own: Vec<(String, Result<Theme, String>)>) -> Self {
        let mut looks = Self::default();
        for (name, theme) in own {
            match looks.at(&name) {
                Some(at) => looks.themes[at].1 = theme,
                None => looks.themes.push((name, theme)),
            }
        }
        looks
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.themes.iter().position(|(known, _)| known == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.themes.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the name of the theme that was chosen.
    pub(crate) fn chosen(&self) -> &str {
        self.themes.get(self.chosen).map_or("", |(name, _)| name)
    }

    /// Chooses a theme; the error says which there are, or what is wrong with it.
    pub(crate) fn choose(&mut self, name: &str) -> Result<(), String> {
        let Some(at) = self.at(name) else {
            let names: Vec<_> = self.names().collect();
            let told = crate::text::clean(name);
            return Err(format!("there is no theme `{told}`; the themes are {}", names.join(" ")));
        };
        if let (_, Err(why)) = &self.themes[at] {
            return Err(format!("the theme `{name}` cannot be used: {why}"));
        }
        self.chosen = at;
        Ok(())
    }

    /// Chooses the first theme of a run: what is wanted in it, else what was chosen in an earlier
    /// one, else the usual. A remembered one that is gone keeps nobody from opening the screen; why
    /// it was passed over is returned.
    pub(crate) fn begin(
        mut self,
        choice: &ThemeChoice,
        remembered: Option<&str>,
    ) -> Result<(Self, Option<String>), String> {
        let mut ignored = None;
        let name = match choice {
            ThemeChoice::Wanted(name) => name,
            ThemeChoice::Usual(usual) => {
                match remembered.map(|remembered| self.choose(remembered)) {
                    Some(Ok(())) => return Ok((self, None)),
                    Some(Err(why)) => ignored = Some(why),
                    None => {}
                }
                usual
            }
        };
        self.choose(name)?;
        Ok((self, ignored))
    }

    fn theme(&self, name: &str) -> Option<&Theme> {
        self.themes.get(self.at(name)?)?.1.as_ref().ok()
    }

    /// Gives every theme the colours that the terminal has.
    pub(crate) fn within(mut self, depth: crate::theme::Depth) -> Self {
        for (_, theme) in &mut self.themes {
            if let Ok(theme) = theme {
                theme.reduce(depth);
            }
        }
        self
    }
}

impl Model {
    /// Returns the theme to draw with: the one under the palette's cursor, else the chosen one.
    pub(crate) fn theme(&self) -> Option<&Theme> {
        let previewed = match self.overlays.last() {
            Some(Overlay::Palette(palette)) => palette
                .command
                .filter(|command| command.arguments == [super::palette::Argument::Theme])
                .and_then(|_| match &palette.chosen()?.what {
                    What::Word(name) => self.looks.theme(name),
                    What::Action(..) | What::Command(_) => None,
                }),
            _ => None,
        };
        previewed.or_else(|| self.looks.theme(self.looks.chosen()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_of_ones_own_takes_the_place_of_a_built_in_one() {
        let own = Theme::parse("[roles]\ntext = \"bold\"").unwrap();
        let mut looks = Looks::with(vec![
            ("nord".to_owned(), Ok(own.clone())),
            ("mine".to_owned(), Err("line 3 of the theme: no".to_owned())),
        ]);
        assert_eq!(looks.theme("nord"), Some(&own));
        assert_eq!(looks.names().last(), Some("mine"));
        assert_eq!(looks.choose("nord"), Ok(()));
        assert!(looks.choose("mine").unwrap_err().contains("line 3"));
        assert!(looks.choose("x").unwrap_err().contains("the themes are ansi16 mono"));
        assert_eq!(looks.chosen(), "nord");
    }

    #[test]
    fn what_is_wanted_beats_what_is_remembered_beats_the_usual() {
        let check = |choice: ThemeChoice, remembered, chosen: &str, ignored: bool| {
            let (looks, why) = Looks::default().begin(&choice, remembered).unwrap();
            assert_eq!((looks.chosen(), why.is_some()), (chosen, ignored), "{choice:?}");
        };
        let usual = |name: &str| ThemeChoice::Usual(name.to_owned());
        let wanted = |name: &str| ThemeChoice::Wanted(name.to_owned());
        check(usual("nord"), None, "nord", false);
        check(usual("nord"), Some("mono"), "mono", false);
        check(usual("nord"), Some("gone"), "nord", true);
        check(wanted("nord"), Some("mono"), "nord", false);
        assert!(Looks::default().begin(&wanted("gone"), None).is_err());
    }
}
