//! Actions on many tasks at once: sends one request a selection and says honestly what came of it.
//! Which action it is, its own file knows.

use ganger_proto::command::Changed;
use ganger_proto::{Reply, Request, Select};

use super::error::{CliError, Result};
use super::place::Place;
use super::table::number;
use super::{Exit, reach};

/// Runs an action on selections and prints the counts; `done` is what became of a changed task.
///
/// # Errors
/// When the master cannot be reached or refuses, or no task's state allowed the action.
pub(crate) async fn run(
    place: &Place,
    selects: Vec<Select>,
    done: &str,
    action: impl Fn(Select) -> Request,
) -> Result<()> {
    let caller = reach::connect(place).await?;
    let mut sum = Changed::default();
    for select in selects {
        let Reply::Changed(changed) = caller.call(action(select)).await? else {
            return Err(reach::unexpected());
        };
        sum.changed += changed.changed;
        sum.asked += changed.asked;
        sum.ended += changed.ended;
        sum.refused += changed.refused;
    }
    let mut out = place.out();
    if out.is_json() {
        out.json(&sum)?;
    } else {
        out.line(&said(&sum, done))?;
    }
    out.flush()?;
    if sum.changed + sum.asked == 0 && sum.refused + sum.ended > 0 {
        return Err(CliError::quiet(Exit::Refused));
    }
    Ok(())
}

fn said(sum: &Changed, done: &str) -> String {
    let mut parts = vec![format!("{} {done}", number(sum.changed))];
    if sum.asked > 0 {
        parts.push(format!("{} running asked to stop", number(sum.asked)));
    }
    if sum.ended > 0 {
        parts.push(format!("{} had ended", number(sum.ended)));
    }
    if sum.refused > 0 {
        parts.push(format!("{} in a state that does not allow it", number(sum.refused)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_honestly() {
        let check = |changed, asked, ended, refused, expected: &str| {
            assert_eq!(said(&Changed { changed, asked, ended, refused }, "cancelled"), expected);
        };
        check(30, 0, 7, 0, "30 cancelled, 7 had ended");
        check(0, 0, 0, 0, "0 cancelled");
        check(
            1,
            2,
            0,
            3,
            "1 cancelled, 2 running asked to stop, 3 in a state that does not allow it",
        );
    }
}
