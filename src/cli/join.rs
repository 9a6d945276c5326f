//! `ganger join TOKEN`: this user gets a certificate for a master.

use ganger_proto::{Name, Role};

use crate::config;

use super::error::Result;
use super::place::Place;
use super::{keyring, out};

/// Flags of `ganger join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ganger join ganger1…       the line that `ganger invite --role operator` prints
  ganger join - < token
  ganger --master HOST       the screen of that master, with the identity kept here")]
pub(crate) struct Args {
    /// The token; - reads it from standard input, @FILE from a file [default: GANGER_TOKEN]
    token: Option<String>,

    /// The name to ask for [default: this host's name]
    #[arg(long)]
    name: Option<Name>,
}

/// Joins and keeps the identity in the home folder.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    keyring::hide_token(args.token.as_deref());
    let token = keyring::token_text(args.token.as_deref())?;
    config::make_folder(&place.home)?;
    if let Some(folder) = keyring::made_by(&place.home, &token) {
        out::note(&format!("joined before with this token; see {}", folder.display()));
        return Ok(());
    }
    let (identity, folder) = keyring::join(&place.home, &token, args.name.as_ref()).await?;
    let next = match identity.role {
        Role::Worker => "this token was for a worker: `ganger-worker` runs it".to_owned(),
        Role::Submitter | Role::Viewer | Role::Operator => {
            let address = identity.addresses.first().map_or("HOST:PORT", String::as_str);
            match identity.role {
                Role::Submitter => format!("`ganger --master {address} submit …` puts tasks in"),
                Role::Worker | Role::Viewer | Role::Operator => {
                    format!("`ganger --master {address}` opens its screen")
                }
            }
        }
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&serde_json::json!({
            "cluster": identity.cluster,
            "role": identity.role,
            "name": identity.name,
            "addresses": identity.addresses,
            "folder": folder.display().to_string(),
        }))?;
    } else {
        let (cluster, role, name) = (&identity.cluster, identity.role, &identity.name);
        out.line(&format!("joined {cluster} as the {role} {name}; {next}"))?;
    }
    out.flush()
}
