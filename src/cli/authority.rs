//! `ganger authority`: the root key that a cluster's certificates rest on, and how it is changed.

use ganger_proto::identity::{AuthorityFacts, Rotation};
use ganger_proto::{Reply, Request};

use super::error::Result;
use super::place::Place;
use super::{out, reach, text, when};

/// Flags of `ganger authority`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Change it when its key may be known to somebody else, or before its certificate ends after ten
years. No task is dropped and nobody is disconnected on the way:

  ganger authority rotate       makes the next authority; both are trusted, connected workers renew
                                at once, people with their next command
  ganger authority              tells how many have not renewed yet
  ganger authority finish       ends the trust in the old one and removes its key; join tokens made
                                before are void

For the administrator of the master's own home only.")]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Option<Step>,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Make the next authority; both are trusted from now on
    Rotate,
    /// End the trust in the old authority, once everybody has renewed
    Finish {
        /// Do not wait for those who have not renewed: they have to join again
        #[arg(long)]
        now: bool,
    },
}

/// Shows the authority, or takes a step of changing it.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let request = match &args.step {
        None => Request::Authority,
        Some(Step::Rotate) => Request::Rotate(Rotation::Begin),
        Some(Step::Finish { now: false }) => Request::Rotate(Rotation::Finish),
        Some(Step::Finish { now: true }) => Request::Rotate(Rotation::FinishNow),
    };
    let caller = reach::connect(place).await?;
    let Reply::Authority(facts) = caller.call(request).await? else {
        return Err(reach::unexpected());
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&facts)?;
        return out.flush();
    }
    for line in lines(&facts) {
        out.line(&text::line(&line))?;
    }
    out.flush()?;
    match args.step {
        Some(Step::Rotate) => out::note("`ganger authority finish` ends the trust in the old one"),
        Some(Step::Finish { .. }) => out::note("join tokens made before are void; make new ones"),
        None => {}
    }
    Ok(())
}

fn lines(facts: &AuthorityFacts) -> Vec<String> {
    let AuthorityFacts { generation, pin, ends, next_pin, behind } = facts;
    let mut lines =
        vec![format!("authority {generation}, until {}", when(*ends)), format!("pin {pin}")];
    if let Some(next) = next_pin {
        lines.push(format!("changes to authority {}", generation + 1));
        lines.push(format!("pin {next}"));
        lines.push(match behind {
            0 => "everybody who can connect has a certificate of it".to_owned(),
            1 => "1 identity that can connect has no certificate of it yet".to_owned(),
            many => format!("{many} identities that can connect have no certificate of it yet"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use ganger_proto::WallMs;

    use super::*;

    #[test]
    fn it_says_how_far_a_change_is() {
        let check = |next_pin: Option<&str>, behind, expected: &[&str]| {
            let facts = AuthorityFacts {
                generation: 1,
                pin: "aa".to_owned(),
                ends: WallMs(0),
                next_pin: next_pin.map(str::to_owned),
                behind,
            };
            assert_eq!(lines(&facts)[1..], *expected);
        };
        check(None, 0, &["pin aa"]);
        let changes = "changes to authority 2";
        let all = "everybody who can connect has a certificate of it";
        check(Some("bb"), 0, &["pin aa", changes, "pin bb", all]);
        let some = "2 identities that can connect have no certificate of it yet";
        check(Some("bb"), 2, &["pin aa", changes, "pin bb", some]);
    }
}
