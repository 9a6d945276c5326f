//! An export under way: pages of rows come one after the other and are kept as text until the
//! last. What it asks for and what it says is in update/files.rs.

use ganger_proto::{Filter, TaskId};

use crate::rows::RowFormat;
use crate::save::FileName;

/// Rows on their way into a file.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) format: RowFormat,
    pub(crate) file: FileName,
    pub(crate) filter: Filter,
    /// The last task that came.
    pub(crate) after: TaskId,
    pub(crate) rows: u64,
    pub(crate) text: String,
    pub(crate) step: ExportStep,
}

/// What an export does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportStep {
    /// It asks for a page, again when the connection was lost meanwhile.
    Ask,
    /// What goes into the file has come.
    Write {
        /// Whether it is all that matches.
        whole: Whole,
    },
}

/// Whether all that matches was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Yes,
    /// There is more, of this many, when that is known.
    No {
        total: Option<u64>,
    },
}
