//! Keeps flags in `worker.toml`, so that the next start needs none.

use std::path::Path;

use ganger_proto::place::Need;
use ganger_proto::{Label, Name};

use super::Flags;
use crate::cli::error::{CliError, Result};
use crate::config;
use crate::worker::Handler;

/// Adds handlers to a table that is kept, beside what it says of them.
fn keep_handlers(settings: &mut toml::Table, given: &[(Name, Handler)]) -> Result<()> {
    let wrong = || CliError::usage("`handlers` in worker.toml is no table; write [handlers.NAME]");
    for (name, handler) in given {
        let table = || toml::Value::from(toml::Table::new());
        let all = settings.entry("handlers").or_insert_with(table);
        let all = all.as_table_mut().ok_or_else(wrong)?;
        let one = all.entry(name.as_str()).or_insert_with(table);
        let one = one.as_table_mut().ok_or_else(wrong)?;
        one.insert("command".to_owned(), handler.command.clone().into());
        if let Some(cwd) = handler.cwd.as_ref().and_then(|cwd| cwd.to_str()) {
            one.insert("cwd".to_owned(), cwd.into());
        }
    }
    Ok(())
}

/// Keeps flags in `worker.toml`; what it says besides, it keeps saying.
pub(super) fn keep(path: &Path, flags: &Flags) -> Result<()> {
    let shell = flags.allow_shell.then_some(true);
    let numbers = [("slots", flags.slots), ("io_slots", flags.io_slots)];
    let none = numbers.iter().all(|(_, slots)| slots.is_none()) && shell.is_none();
    let lists = flags.labels.is_empty() && flags.resources.is_empty() && flags.roots.is_empty();
    if none && lists && flags.handlers.is_empty() {
        return Ok(());
    }
    let mut settings: toml::Table = config::read_toml(path)?.unwrap_or_default();
    for (key, slots) in numbers {
        if let Some(slots) = slots {
            settings.insert(key.to_owned(), i64::from(slots).into());
        }
    }
    if let Some(shell) = shell {
        settings.insert("allow_shell".to_owned(), shell.into());
    }
    if !flags.labels.is_empty() {
        let labels: Vec<String> = flags.labels.iter().map(Label::to_string).collect();
        settings.insert("labels".to_owned(), labels.into());
    }
    if !flags.resources.is_empty() {
        let all = settings.entry("resources").or_insert_with(|| toml::Table::new().into());
        let all = all.as_table_mut().ok_or_else(|| {
            CliError::usage(format!("`resources` in {} is no table; make it one", path.display()))
        })?;
        for has in &flags.resources {
            all.insert(has.name.to_string(), amount_of(has));
        }
    }
    if !flags.roots.is_empty() {
        let roots: Vec<String> =
            flags.roots.iter().map(|root| root.to_string_lossy().into_owned()).collect();
        settings.insert("roots".to_owned(), roots.into());
    }
    keep_handlers(&mut settings, &flags.handlers)?;
    let text = toml::to_string(&settings).expect("a table that was read or made can be written");
    Ok(config::replace_file(path, text.as_bytes())?)
}

/// Returns an amount as a person would write it in the file: a number, or a text with its unit.
fn amount_of(has: &Need) -> toml::Value {
    let text = has.to_string();
    let amount = text.split_once('=').map_or("", |(_, amount)| amount);
    amount.parse::<i64>().map_or_else(|_| amount.into(), toml::Value::from)
}
