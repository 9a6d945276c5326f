//! `ganger revoke`: ends an identity for good.

use ganger_proto::{Name, Request, Role};

use super::error::Result;
use super::place::Place;
use super::{ask, text};

/// Flags of `ganger revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Its connections end at once and its tasks go back to the queue. It cannot be taken back: to let it
in again, invite it again with `ganger invite --rejoin NAME`.")]
pub(crate) struct Args {
    /// The identity's name
    name: Name,

    /// Its role: worker, submitter, viewer, operator
    #[arg(long, default_value = "worker", value_parser = role)]
    role: Role,

    /// Why, for the audit
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| format!("`{}` is no role", text::line(word)))
}

/// Revokes the identity.
pub(crate) async fn run(place: &Place, Args { name, role, reason }: Args) -> Result<()> {
    let done = format!("the {role} {name} is revoked");
    ask::run(place, Request::Revoke { name, role, reason }, &done).await
}
