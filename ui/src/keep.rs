//! What the screen remembers between runs: saved filters, filled-in forms, looks. Plain values; who
//! reads and writes the file is run.rs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that is remembered; small, since every list in it is bounded where it grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kept {
    /// The theme chosen last; none leaves it to the options.
    pub theme: Option<String>,
    /// Commands typed in the palette, the newest first.
    pub commands: Vec<String>,
    /// Saved filters by name.
    pub filters: BTreeMap<String, String>,
    /// How each list is shown, by the list's word.
    pub lists: BTreeMap<String, KeptList>,
    /// The injection form as it was left.
    pub draft: Option<KeptForm>,
    /// Forms that were sent, the newest first; values of the environment are masked.
    pub forms: Vec<KeptForm>,
    /// Forms saved by name.
    pub templates: BTreeMap<String, KeptForm>,
}

/// How a list is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeptList {
    /// The sort key's word and direction, such as `priority falling`; empty for the natural order.
    pub sort: String,
    /// Columns that are not shown.
    pub hidden: Vec<String>,
}

/// A filled-in form: each field's id with its text.
pub type KeptForm = BTreeMap<String, String>;
