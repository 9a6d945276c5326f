//! `--dry-run`: the commands, and none of them is run.

use ganger_proto::Args;
use ganger_proto::template::{Quote, Values};

use super::super::error::Result;
use super::super::place::Place;
use super::plan::Plan;

/// Prints the command of each task, as one types it.
///
/// # Errors
/// When the arguments cannot be read.
pub(crate) fn print(place: &Place, mut plan: Plan) -> Result<()> {
    let mut out = place.out();
    let form = plan.head.spec.form.clone();
    let mut number = 0;
    let mut write = |argument: Option<&[u8]>| {
        number += 1;
        let values = Values::new(&form, argument, number).in_slot(1);
        let command = plan.line.shown(&values);
        if out.is_json() {
            let command = String::from_utf8_lossy(&command);
            let number = values.number();
            return out.json(&serde_json::json!({ "number": number, "command": command }));
        }
        let mut shown = Vec::new();
        if let Some(tag) = &plan.look.tag {
            tag.expand(&values, Quote::Verbatim, &mut shown);
            shown.push(b'\t');
        }
        shown.extend_from_slice(&command);
        shown.push(b'\n');
        out.output(&shown)
    };
    match plan.fitting.source().whole().cloned() {
        Some(args @ Args::Repeat { .. }) => (0..args.count()).try_for_each(|_| write(None))?,
        Some(args @ (Args::Range { .. } | Args::Listed(_))) => {
            let mut argument = Vec::new();
            for at in 0..args.count() {
                argument.clear();
                args.write(at, &mut argument);
                write(Some(&argument))?;
            }
        }
        None => {
            while let Some(argument) = plan.fitting.next()? {
                write(Some(&argument))?;
            }
        }
    }
    out.flush()
}
