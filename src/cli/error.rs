//! How a command ends when it does not end well: an exit code and a sentence. The table of exit
//! codes is in mod.rs.

use std::error::Error;
use std::io;

use ganger_net::client::{CallError, DialError, JoinError};
use ganger_net::pki::identity::IdentityError;
use ganger_proto::Refusal;
use ganger_proto::filter::FilterError;
use ganger_proto::spec::SpecError;

use super::{Exit, text};
use crate::config::ConfigError;
use crate::store::OpenError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct CliError {
    /// The process's exit code.
    pub(crate) exit: Exit,
    /// What is printed after `error: `; empty when everything has been said.
    pub(crate) sentence: String,
}

/// What commands return.
pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    /// Returns an error that ends with `exit`.
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, sentence: sentence.into() }
    }

    /// The person asked for something that makes no sense.
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Usage, sentence)
    }

    /// It was tried and failed.
    pub(crate) fn failed(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Failed, sentence)
    }

    /// There is no way to the master.
    pub(crate) fn unreachable(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, sentence)
    }

    /// Everything has been said; only the exit code is left.
    pub(crate) const fn quiet(exit: Exit) -> Self {
        Self { exit, sentence: String::new() }
    }

    /// An operation on a file failed.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {error}"))
    }
}

/// Joins an error's sentence with its causes, fit for a terminal.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Transparent errors repeat what was said.
        if !sentence.ends_with(&more) {
            sentence.push_str(": ");
            sentence.push_str(&more);
        }
        cause = error.source();
    }
    text::line(&sentence)
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        // The rest is refused for role, state or quota.
        let exit = if matches!(refusal, Refusal::Spec(_) | Refusal::Invalid(_)) {
            Exit::Usage
        } else if matches!(refusal, Refusal::Stopping) {
            Exit::Unreachable
        } else {
            Exit::Refused
        };
        let mut sentence = text::line(&refusal.to_string());
        if sentence.trim().is_empty() {
            "the master refused it and did not say why; look at its log".clone_into(&mut sentence);
        }
        Self::new(exit, sentence)
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        if let CallError::Refused(refusal) = error {
            return refusal.into();
        }
        let exit = if is_final(&error) { Exit::Refused } else { Exit::Unreachable };
        Self::new(exit, with_causes(&error))
    }
}

/// Tells whether the master ended the connection for a reason that dialling again cannot mend.
pub(crate) fn is_final(error: &CallError) -> bool {
    matches!(error, CallError::Lost(closed) if closed.code.is_some_and(|code| code.is_final()))
}

impl From<DialError> for CliError {
    fn from(error: DialError) -> Self {
        if error.is_final() {
            Self::new(Exit::Refused, with_causes(&error))
        } else {
            Self::unreachable(format!(
                "{}; is the master running? on its machine `ganger` starts it",
                with_causes(&error)
            ))
        }
    }
}

impl From<JoinError> for CliError {
    fn from(error: JoinError) -> Self {
        let refused = matches!(
            error,
            JoinError::Refused | JoinError::Name(_) | JoinError::NotTheMaster { .. }
        );
        let exit = if refused {
            Exit::Refused
        } else if matches!(error, JoinError::Unreachable { .. }) {
            Exit::Unreachable
        } else {
            Exit::Failed
        };
        Self::new(exit, with_causes(&error))
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        Self::failed(with_causes(&error))
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::Damaged(_) => Exit::Damaged,
            OpenError::Held(_) => Exit::Refused,
            OpenError::Unusable(_) => Exit::Failed,
        };
        Self::new(exit, with_causes(&error))
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let exit = match error {
            ConfigError::NoHome | ConfigError::File { .. } | ConfigError::Value { .. } => {
                Exit::Usage
            }
            ConfigError::Io { .. } => Exit::Failed,
        };
        Self::new(exit, with_causes(&error))
    }
}

impl From<FilterError> for CliError {
    fn from(error: FilterError) -> Self {
        Self::usage(text::line(&error.to_string()))
    }
}

impl From<SpecError> for CliError {
    fn from(error: SpecError) -> Self {
        Self::usage(text::line(&error.to_string()))
    }
}

/// Standard output went away or could not be written. A closed pipe is the reader's choice.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::quiet(Exit::Done)
        } else {
            Self::io("writing the output failed", &error)
        }
    }
}

#[cfg(test)]
mod tests {
    use ganger_net::session::Closed;
    use ganger_proto::TaskId;

    use super::*;

    #[test]
    fn errors_have_their_exit_codes() {
        let check = |error: CliError, exit: Exit| assert_eq!(error.exit, exit, "{error}");
        check(Refusal::NoTask(TaskId::new(1)).into(), Exit::Refused);
        check(Refusal::Invalid("x".into()).into(), Exit::Usage);
        check(Refusal::Stopping.into(), Exit::Unreachable);
        check(CallError::Refused(Refusal::StorageFull).into(), Exit::Refused);
        // Found by fuzzing what a master says: a refusal in no words.
        let mute = CliError::from(Refusal::State(String::new()));
        assert!(mute.sentence.contains("did not say why"), "{mute}");
        let lost = |code| CallError::Lost(Closed { code, sentence: "gone".into() });
        check(lost(None).into(), Exit::Unreachable);
        check(lost(Some(ganger_net::CloseCode::Shutdown)).into(), Exit::Unreachable);
        check(lost(Some(ganger_net::CloseCode::Revoked)).into(), Exit::Refused);
        check(DialError::Refused("no".into()).into(), Exit::Refused);
        let silent = DialError::Unreachable { addresses: "a:1".into(), reason: "timeout".into() };
        check(silent.into(), Exit::Unreachable);
        check(JoinError::Refused.into(), Exit::Refused);
        check(OpenError::Damaged("x".into()).into(), Exit::Damaged);
        check(OpenError::Held("x".into()).into(), Exit::Refused);
        check(ConfigError::NoHome.into(), Exit::Usage);
        check(SpecError::NoProgram.into(), Exit::Usage);
        check(io::Error::from(io::ErrorKind::BrokenPipe).into(), Exit::Done);
        check(io::Error::from(io::ErrorKind::StorageFull).into(), Exit::Failed);
    }

    #[test]
    fn causes_follow_the_sentence_and_are_fit_for_a_terminal() {
        let source = io::Error::other("no \u{1b}[31mroom");
        let error = ConfigError::Io { path: "/p".into(), source };
        assert_eq!(CliError::from(error).sentence, "cannot use /p: no room");
    }
}
