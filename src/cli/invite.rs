//! `ganger invite`: a token, and the one line with which another machine or person joins.

use std::time::Duration;

use ganger_net::client::Caller;
use ganger_proto::command::Invite;
use ganger_proto::picture::WorkerState;
use ganger_proto::time::HumanMs;
use ganger_proto::{Name, Reply, Request, Role};

use super::error::Result;
use super::place::Place;
use super::{as_ms, duration, out, reach, text};

/// Flags of `ganger invite`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The token is a secret: whoever has it first gets the role. It is shown once.

Examples:
  ganger invite                                    one worker, within an hour
  ganger invite --uses 20 --ttl 8h                 twenty workers
  ganger invite --role operator --name ann         Ann's own screen
  ganger invite --rejoin gpu-7                     the worker gpu-7 comes back after it was away
                                                   too long, or with a new disk")]
pub(crate) struct Args {
    /// What the joiner may do: worker, submitter, viewer, operator
    #[arg(long, default_value = "worker", value_parser = role)]
    role: Role,

    /// The name that the joiner gets [default: its own wish, else its host's name]
    #[arg(long)]
    name: Option<Name>,

    /// The name of a machine or person who joins anew and keeps it; what holds it until then is out
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "uses"])]
    rejoin: Option<Name>,

    /// How many may join with it
    #[arg(long, default_value_t = 1, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,

    /// How long it is valid [default: 1h; for an operator 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    ttl: Option<Duration>,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| {
        format!(
            "`{}` is no role; the roles are worker, submitter, viewer, operator",
            text::line(word)
        )
    })
}

/// Makes the token and prints the line.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    let ttl = args.ttl.unwrap_or(match args.role {
        Role::Worker | Role::Submitter | Role::Viewer => Duration::from_secs(3_600),
        Role::Operator => Duration::from_secs(600),
    });
    let (role, uses, ttl_ms) = (args.role, args.uses, as_ms(ttl));
    let again = args.rejoin.is_some();
    let name = args.name.or(args.rejoin);
    let invite = Invite { role, name, uses, ttl_ms, replaces: None, again };
    let caller = reach::connect(place).await?;
    let reply = caller.call(Request::Invite(invite)).await?;
    let Reply::Invited { token, .. } = &reply else { return Err(reach::unexpected()) };
    let mut out = place.out();
    if out.is_json() {
        out.json(&reply)?;
        return out.flush();
    }
    let program = match role {
        Role::Worker => "ganger-worker",
        Role::Submitter | Role::Viewer | Role::Operator => "ganger",
    };
    out.line(&format!("{program} join {}", text::line(token)))?;
    out.flush()?;
    let times = if uses == 1 { "once".to_owned() } else { format!("{uses} times") };
    out::note(&format!("valid for {}, to be used {times}", HumanMs(ttl_ms)));
    if matches!(role, Role::Submitter | Role::Operator) && has_local_worker(&caller).await {
        out::note(
            "whoever submits can have the local worker read this master's keys, since both run as \
             one user; start the master with --local-worker 0, or limit that worker in \
             local-worker/worker.toml",
        );
    }
    Ok(())
}

/// Tells whether the worker that the master starts on its own machine takes tasks.
async fn has_local_worker(caller: &Caller) -> bool {
    let request = Request::Worker { name: Name::from_lossy("local") };
    match caller.call(request).await {
        Ok(Reply::Worker(worker)) => {
            matches!(worker.row.state, WorkerState::Up | WorkerState::Away)
        }
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_words() {
        assert_eq!(role("viewer"), Ok(Role::Viewer));
        assert!(role("admin").unwrap_err().contains("the roles are"));
    }
}
