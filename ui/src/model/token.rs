//! Join tokens as they are shown. Who asks for them is in update/join.rs.

use ganger_proto::{Role, WallMs};

/// The join token of the welcome state, minted when it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WelcomeToken {
    Unasked,
    Asked,
    Minted(Minted),
    Refused(String),
}

/// A join token that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) id: String,
    pub(crate) expires: WallMs,
}

impl Minted {
    /// Returns the line that a person types on the other machine.
    pub(crate) fn line(&self, role: Role) -> String {
        match role {
            Role::Worker => format!("ganger-worker join {}", self.token),
            Role::Submitter | Role::Viewer | Role::Operator => {
                format!("ganger join {}", self.token)
            }
        }
    }
}
