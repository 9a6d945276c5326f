//! How much of the log is kept beside what a restart needs. What a restart needs, the newest two
//! snapshots and the log after the older, is always kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Which batches stay in the log although a snapshot covers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepLog {
    /// None.
    #[default]
    Needed,
    /// Those that are at most this much older than the newest one.
    For(Duration),
    /// All.
    All,
}

impl FromStr for KeepLog {
    type Err = KeepLogError;

    fn from_str(text: &str) -> Result<Self, KeepLogError> {
        match text {
            "none" => Ok(Self::Needed),
            "all" => Ok(Self::All),
            _ => humantime::parse_duration(text).map(Self::For).map_err(|_| {
                let shown = text.chars().filter(|c| !c.is_control()).take(32).collect();
                KeepLogError { shown }
            }),
        }
    }
}

impl fmt::Display for KeepLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Needed => f.write_str("none"),
            Self::For(age) => write!(f, "{}", humantime::format_duration(*age)),
            Self::All => f.write_str("all"),
        }
    }
}

/// The text does not say how much is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` does not say how much of the log is kept; write none, all, or an age such as 7d"
)]
pub struct KeepLogError {
    shown: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_shown() {
        for text in ["none", "all", "7days"] {
            assert_eq!(text.parse::<KeepLog>().unwrap().to_string(), text);
        }
        let week = KeepLog::For(Duration::from_secs(7 * 24 * 60 * 60));
        assert_eq!("7d".parse(), Ok(week));
        let told = "7\u{1b} ".parse::<KeepLog>().unwrap_err().to_string();
        assert!(told.starts_with("`7 ` does not say") && told.contains("7d"), "{told}");
    }
}
