//! The security audit as people read it: the trust log's entries and what was asked for that
//! changed something, which the journal keeps. There is no third log.

use serde::{Deserialize, Serialize};

use crate::time::WallMs;

/// How far an audit has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPlace {
    /// The trust log's newest entry that was read, from 1.
    pub trust: u64,
    /// The journal's newest batch that was read, from 1.
    pub seq: u64,
}

/// Which log has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditLog {
    /// The trust log: invites, uses, certificates, revocations.
    Trust,
    /// The journal: submissions and commands.
    Journal,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When it was written.
    pub at: WallMs,
    /// Where.
    pub log: AuditLog,
    /// Its number there: of the entry, or of the journal's batch.
    pub number: u64,
    /// Who did it, as `operator@admin`; empty for the master itself.
    pub actor: String,
    /// Its word, such as `invited` or `cancelled`.
    pub word: String,
    /// All of it in one sentence; untrusted text.
    pub text: String,
}

/// Some entries, each log in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The entries.
    pub rows: Vec<AuditRow>,
    /// Where the next page begins; none when both logs were read to their ends.
    pub next: Option<AuditPlace>,
    /// When the journal begins, if not with the first batch: what was asked before is not kept.
    pub journal_begins: Option<WallMs>,
}

/// What a check of the trust log's chain found: that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustChecked {
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the newest one, in hex: noted elsewhere, it shows later that none was taken
    /// away.
    pub hash: String,
}
