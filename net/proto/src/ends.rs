//! Ends of a batch's tasks as a client follows them: what it has heard of, and what it has not.
//! How it asks is in command.rs.

use serde::{Deserialize, Serialize};

use crate::command::ResultLine;
use crate::id::TaskId;
use crate::picture::BatchRow;
use crate::time::WallMs;

/// Consecutive tasks, the first and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRun {
    /// The first task.
    pub first: TaskId,
    /// How many.
    pub count: u64,
}

/// Ends of tasks that the client has not heard of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndPage {
    /// The tasks, about in the order in which they ended.
    pub rows: Vec<EndRow>,
    /// Their batch. When it has ended and there are no rows, all has been told.
    pub batch: BatchRow,
}

/// The end of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndRow {
    /// How it ended.
    pub line: ResultLine,
    /// When.
    pub at: WallMs,
    /// Its argument; nothing when it has none.
    #[serde(with = "serde_bytes")]
    pub argument: Option<Vec<u8>>,
}
