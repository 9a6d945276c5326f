//! Shell lines in which a shell would do nothing but cut words at blanks: they run without one.

use super::Template;
use super::strings::{Part, replacement};
use crate::form::ArgForm;

/// First words that a shell does itself and that are no programs, or others than the shell's.
const OF_THE_SHELL: &[&str] = &[
    ".", ":", "alias", "bg", "break", "builtin", "case", "cd", "command", "continue", "coproc",
    "declare", "dirs", "disown", "do", "done", "elif", "else", "enable", "esac", "eval", "exec",
    "exit", "export", "fc", "fg", "fi", "for", "function", "getopts", "hash", "help", "history",
    "if", "jobs", "let", "local", "logout", "popd", "pushd", "read", "readonly", "return",
    "select", "set", "shift", "shopt", "source", "suspend", "then", "time", "times", "trap",
    "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while", "[[",
];

impl Template {
    /// Returns the words of a line in which a shell would do nothing but cut it at blanks, whatever
    /// its values are; nothing when there is more in it, or when its first word is not a program.
    pub fn without_shell(&self, form: &ArgForm) -> Option<Vec<Self>> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut open = false;
        let mut rest = self.source();
        while let Some(&byte) = rest.first() {
            let taken = if byte == b'{' { replacement(rest).ok()?? } else { (Part::Slot, 0) };
            let (piece, is_blank) = match taken {
                (_, 0) => (&rest[..1], matches!(byte, b' ' | b'\t')),
                (Part::Named { name, .. }, _) if !form.names().contains(&name) && name != "n" => {
                    return None;
                }
                (_, length) => (&rest[..length], false),
            };
            rest = &rest[piece.len()..];
            if is_blank {
                open = false;
                continue;
            }
            let plain = is_plain(byte) || (open && byte == b'#');
            if piece.len() == 1 && !plain {
                return None;
            }
            if !open {
                words.push(Vec::new());
                open = true;
            }
            words.last_mut()?.extend_from_slice(piece);
        }
        let first = std::str::from_utf8(words.first()?).ok()?;
        let shells = OF_THE_SHELL.contains(&first);
        if shells || first.contains(['=', '{']) {
            return None;
        }
        words.iter().map(|word| Self::parse(word).ok()).collect()
    }
}

/// Tells whether a byte means nothing to a shell.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_-./:@%+,^=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Columns;

    fn words(line: &str) -> Option<String> {
        let names = vec!["first name".to_owned()];
        let form = ArgForm { columns: Columns::Many { count: 2, names }, ..ArgForm::default() };
        let words = Template::from_text(line).unwrap().without_shell(&form)?;
        let words: Vec<_> = words.iter().map(|w| String::from_utf8_lossy(w.source())).collect();
        Some(words.join("|"))
    }

    #[test]
    fn lines_without_a_sign_for_a_shell_are_cut_at_blanks() {
        let check = |line: &str, expected: &str| {
            assert_eq!(words(line).as_deref(), Some(expected), "{line}");
        };
        check("gzip -9 {}", "gzip|-9|{}");
        check("  echo\ta  {.}.b{#} ", "echo|a|{.}.b{#}");
        check("x --a=b,{2} {first name}/c a#b", "x|--a=b,{2}|{first name}/c|a#b");
        check("./p é", "./p|é");
        check("true", "true");
    }

    #[test]
    fn what_a_shell_would_do_needs_one() {
        for line in [
            "", "  ", "a | b", "a > {}", "a $HOME", "a 'b'", "a \"b\"", "a b;", "a \\; b", "ls *",
            "a ~", "a #b", "A=b c", "{} a", "cd a", "exit {}", "a {x}", "a {", "a }", "a!", "a &",
            "[[ a", "a\nb", "(a)", "a `b`", "a [b]", "a?",
        ] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
