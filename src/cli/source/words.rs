//! The words of a command line cut where arguments begin: `:::` words, `::::` files, with `+`
//! linked to the source before. Opens nothing; see records.rs.

use std::ffi::OsString;
use std::path::PathBuf;

/// A source of arguments as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// Where its records come from.
    pub(crate) origin: Origin,
    /// How it goes together with the source before it.
    pub(crate) joint: Joint,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Words of the command line.
    Words(Vec<OsString>),
    /// A file; `-` is standard input.
    File(PathBuf),
}

/// How a source goes together with the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// Each of its records with each record before.
    Crossed,
    /// Its first record with the first record before, and so on; the shorter one ends both.
    Linked,
}

/// What may stand behind the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// `::: a b -- echo {}`: a command.
    Command,
    /// Nothing: `--` is an argument, as in GNU parallel.
    Nothing,
}

/// Words cut in two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The command.
    pub(crate) command: Vec<OsString>,
    /// The sources of its arguments.
    pub(crate) inputs: Vec<Input>,
}

impl Input {
    /// Returns a file as a source of its own.
    pub(crate) fn file(path: impl Into<PathBuf>) -> Self {
        Self { origin: Origin::File(path.into()), joint: Joint::Crossed }
    }
}

/// Cuts words at the first `:::`, `::::`, `:::+` or `::::+`, and the rest at each of them.
pub(crate) fn cut(mut words: Vec<OsString>, behind: Behind) -> Cut {
    let Some(at) = words.iter().position(|word| sign(word).is_some()) else {
        return Cut { command: words, inputs: Vec::new() };
    };
    let mut arguments = words.split_off(at);
    if at == 0
        && behind == Behind::Command
        && let Some(dashes) = arguments.iter().position(|word| word == "--")
    {
        words = arguments.split_off(dashes);
        words.remove(0);
    }
    let mut inputs: Vec<Input> = Vec::new();
    let mut open = None;
    for word in arguments {
        match (sign(&word), open) {
            (Some(next), _) => {
                open = Some(next);
                if let (From::Words, joint) = next {
                    inputs.push(Input { origin: Origin::Words(Vec::new()), joint });
                }
            }
            (None, Some((From::Files, joint))) => {
                inputs.push(Input { origin: Origin::File(word.into()), joint });
            }
            (None, Some((From::Words, _)) | None) => {
                if let Some(Input { origin: Origin::Words(list), .. }) = inputs.last_mut() {
                    list.push(word);
                }
            }
        }
    }
    Cut { command: words, inputs }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Words,
    Files,
}

fn sign(word: &OsString) -> Option<(From, Joint)> {
    match word.to_str()? {
        ":::" => Some((From::Words, Joint::Crossed)),
        ":::+" => Some((From::Words, Joint::Linked)),
        "::::" => Some((From::Files, Joint::Crossed)),
        "::::+" => Some((From::Files, Joint::Linked)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, behind: Behind) -> String {
        let words = line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
        let Cut { command, inputs } = cut(words, behind);
        let mut shown = command.join(" ".as_ref()).into_string().unwrap();
        for Input { origin, joint } in inputs {
            let sign = if joint == Joint::Linked { "+" } else { "x" };
            shown.push_str(&match origin {
                Origin::Words(words) => format!(" {sign}{words:?}"),
                Origin::File(path) => format!(" {sign}<{}", path.display()),
            });
        }
        shown
    }

    #[test]
    fn sources_follow_their_signs() {
        let check = |line: &str, expected: &str| {
            assert_eq!(shown(line, Behind::Nothing), expected, "{line}");
        };
        check("echo -n a", "echo -n a");
        check("echo ::: a -b ::: 1", "echo x[\"a\", \"-b\"] x[\"1\"]");
        check("echo ::: a :::+ 1 2", "echo x[\"a\"] +[\"1\", \"2\"]");
        check("echo :::: f g ::: a", "echo x<f x<g x[\"a\"]");
        check("echo ::: a ::::+ f", "echo x[\"a\"] +<f");
        check("echo :::", "echo x[]");
        check("::: a -- b", " x[\"a\", \"--\", \"b\"]");
        check("echo ::::", "echo");
    }

    #[test]
    fn a_command_may_stand_behind_its_arguments() {
        assert_eq!(shown("::: a -- echo {}", Behind::Command), "echo {} x[\"a\"]");
        assert_eq!(shown("sh -- x", Behind::Command), "sh -- x");
    }
}
