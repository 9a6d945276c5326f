//! `ganger identities`: whom the master knows, good or not.

use ganger_net::client::Caller;
use ganger_proto::identity::{IdentityRow, IdentityState};
use ganger_proto::limits::PAGE_IDENTITIES_MAX;
use ganger_proto::time::HumanMs;
use ganger_proto::{Reply, Request, Role, WallMs};

use crate::clock::Clock;

use super::error::{CliError, Result};
use super::out::Out;
use super::place::Place;
use super::table::Table;
use super::{Exit, reach, text, when};

/// Flags of `ganger identities`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One line for each: workers, and people as submitter, viewer or operator. LEFT is what is left of
its newest certificate; whoever connects renews it by itself between a half and four fifths of its
life. One that is expired was away too long: `ganger invite --rejoin NAME` brings it back under its
name. For operators only.

Examples:
  ganger identities
  ganger identities gpu-7             all about everyone of this name
  ganger identities --json | jq '.[] | select(.state != \"good\") | .actor.name'")]
pub(crate) struct Args {
    /// Show everything about identities of this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Prints the identities, or those of one name.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    let mut rows = all(&caller).await?;
    if let Some(name) = &args.name {
        rows.retain(|row| row.actor.name.as_str() == name);
        if rows.is_empty() {
            let shown = text::line(name);
            let why = format!("nobody is called `{shown}`; `ganger identities` lists everyone");
            return Err(CliError::new(Exit::Failed, why));
        }
    }
    let mut out = place.out();
    let now = Clock::start().wall();
    if out.is_json() {
        out.json(&rows)?;
    } else if args.name.is_some() {
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.line("")?;
            }
            page(row, now, &mut out)?;
        }
    } else {
        table(&rows, now).print(&mut out)?;
    }
    out.flush()
}

/// Asks for all identities, page by page.
async fn all(caller: &Caller) -> Result<Vec<IdentityRow>> {
    let (mut all, mut after): (Vec<IdentityRow>, Option<(Role, _)>) = (Vec::new(), None);
    loop {
        let request = Request::Identities { after: after.clone(), rows: PAGE_IDENTITIES_MAX };
        let Reply::Identities(rows) = caller.call(request).await? else {
            return Err(reach::unexpected());
        };
        let Some(last) = rows.last() else { return Ok(all) };
        let next = Some((last.actor.role, last.actor.name.clone()));
        if next <= after {
            return Err(reach::unexpected());
        }
        after = next;
        all.extend(rows);
    }
}

fn table(rows: &[IdentityRow], now: WallMs) -> Table {
    let mut table = Table::new(&["ROLE", "NAME", "STATE", ">ONLINE", ">LEFT", "SINCE", "FROM"]);
    for row in rows {
        let online =
            if row.connections == 0 { "-".to_owned() } else { row.connections.to_string() };
        table.row(vec![
            role(row),
            row.actor.name.to_string(),
            row.state.word().to_owned(),
            online,
            left(row, now),
            when(row.since),
            from(row).to_owned(),
        ]);
    }
    table
}

fn page(row: &IdentityRow, now: WallMs, out: &mut Out) -> Result<()> {
    let certificate = &row.certificate;
    let facts = [
        ("identity", row.actor.to_string()),
        ("role", role(row)),
        ("state", row.state.to_string()),
        ("online", format!("{} connections", row.connections)),
        ("since", format!("{}, from {}", when(row.since), from(row))),
        (
            "certificate",
            format!("from {} until {}", when(certificate.issued), when(certificate.ends)),
        ),
        ("left", left(row, now)),
        ("authority", row.authority.to_string()),
        ("serial", certificate.serial.clone()),
        ("key sha256", certificate.fingerprint.clone()),
    ];
    for (title, value) in facts {
        out.line(&format!("{title:<11} {}", text::line(&value)))?;
    }
    Ok(())
}

fn role(row: &IdentityRow) -> String {
    if row.actor.admin { "administrator".to_owned() } else { row.actor.role.to_string() }
}

fn left(row: &IdentityRow, now: WallMs) -> String {
    match row.state {
        IdentityState::Good => HumanMs(row.certificate.ends.since(now)).to_string(),
        IdentityState::Expired | IdentityState::Revoked => "-".to_owned(),
    }
}

fn from(row: &IdentityRow) -> &str {
    if row.from.is_empty() { "this machine" } else { &row.from }
}
