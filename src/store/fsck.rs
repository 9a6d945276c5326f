//! `ganger fsck`: what is whole, what is broken and what can be saved. Reads; changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use ganger_proto::limits::OUTPUT_PART_BYTES;
use rusqlite::Connection;
use serde::Serialize;

use super::chain::{EMPTY, Tip, block_sum, output_part_sum, output_sum};
use super::reading::{self, Walk};
use super::sqlite::{self, Acknowledged};
use super::{OpenError, Seq};

/// What a store was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The database file.
    pub file: PathBuf,
    /// The first batch in the log.
    pub first: Option<u64>,
    /// The last batch in the log, or what the newest snapshot covers.
    pub last: u64,
    /// Batches whose hash follows the one before.
    pub batches_good: u64,
    /// The newest batch that was acknowledged, when that is known.
    pub acknowledged: Option<u64>,
    /// Snapshots, the newest first.
    pub snapshots: Vec<SnapshotFound>,
    /// Result blocks read.
    pub blocks: u64,
    /// Outputs read.
    pub outputs: u64,
    /// What is broken; empty when all is well.
    pub broken: Vec<Finding>,
    /// What is odd and does no harm.
    pub odd: Vec<Finding>,
    /// The state at the end of this batch can be rebuilt from what is whole.
    pub savable: Option<u64>,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotFound {
    /// It covers everything up to here.
    pub seq: u64,
    /// Its parts.
    pub parts: u32,
    /// Whether all parts are there and match their sums.
    pub whole: bool,
}

/// One thing that is broken or odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A sentence.
    pub what: String,
    /// The first and last batch concerned.
    pub batches: Option<(u64, u64)>,
}

impl Verdict {
    /// Whether a master opens this store.
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }

    fn broken(&mut self, what: impl Into<String>, batches: Option<(u64, u64)>) {
        self.broken.push(Finding { what: what.into(), batches });
    }

    fn odd(&mut self, what: impl Into<String>) {
        self.odd.push(Finding { what: what.into(), batches: None });
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_sound() { "sound" } else { "damaged" };
        writeln!(f, "{}: {verdict}", self.file.display())?;
        match self.first {
            Some(first) => writeln!(
                f,
                "log          batches {first} to {}, {} good",
                self.last, self.batches_good
            )?,
            None => writeln!(f, "log          empty, covered up to batch {}", self.last)?,
        }
        match self.acknowledged {
            Some(seq) => writeln!(f, "acknowledged up to batch {seq}")?,
            None => writeln!(f, "acknowledged not known")?,
        }
        for one in &self.snapshots {
            let state = if one.whole { "whole" } else { "bad" };
            writeln!(f, "snapshot     at batch {}, {} parts, {state}", one.seq, one.parts)?;
        }
        writeln!(f, "bodies       {} result blocks, {} outputs", self.blocks, self.outputs)?;
        for (word, findings) in [("broken", &self.broken), ("odd", &self.odd)] {
            for one in findings {
                write!(f, "{word:<12} {}", one.what)?;
                match one.batches {
                    Some((from, to)) => writeln!(f, " (batches {from} to {to})")?,
                    None => writeln!(f)?,
                }
            }
        }
        match self.savable {
            Some(seq) => write!(f, "savable      everything up to batch {seq}"),
            None => write!(f, "savable      nothing that hangs together"),
        }
    }
}

/// Checks the store in a home folder, or one database file.
///
/// # Errors
/// When it cannot be read at all, or is not a store of this version.
pub fn fsck(place: &Path) -> Result<Verdict, OpenError> {
    let file = reading::file_of(place);
    let mut verdict = Verdict { file: file.clone(), ..Verdict::default() };
    let acknowledged = sqlite::read_acknowledged(&file);
    match acknowledged {
        Acknowledged::At(tip) => verdict.acknowledged = Some(tip.seq.0),
        Acknowledged::Nothing => verdict.odd("there is no record of what was acknowledged"),
        Acknowledged::Unreadable => {
            verdict.odd("the record of what was acknowledged does not match its checksum");
        }
    }
    let length = std::fs::metadata(&file)
        .map_err(|error| {
            let why = format!("it cannot be read ({error})");
            sqlite::unusable(&file, &why, "name a home folder with a store")
        })?
        .len();
    if length == 0 {
        // SQLite would delete the WAL of an empty database.
        if verdict.acknowledged.is_some_and(|seq| seq > 0) {
            verdict.broken("the database file is empty", None);
        }
        return Ok(verdict);
    }
    sqlite::check_filesystem(&file)?;
    match reading::view(&file) {
        Ok(Some(conn)) => check(&conn, &file, &acknowledged, &mut verdict),
        Ok(None) => {
            missing_at_end(&acknowledged, &mut verdict);
            if sqlite::has_wal(&file) {
                verdict.broken("its WAL is not empty, but nothing in it can be read", None);
            }
        }
        Err(error @ OpenError::Damaged(_)) => verdict.broken(error.to_string(), None),
        Err(error @ (OpenError::Unusable(_) | OpenError::Held(_))) => return Err(error),
    }
    Ok(verdict)
}

fn check(conn: &Connection, file: &Path, acknowledged: &Acknowledged, verdict: &mut Verdict) {
    check_sqlite(conn, verdict);
    match sqlite::leader_epoch(conn) {
        Ok(Some(_)) => {}
        Ok(None) => verdict.broken("the record of who leads does not match its sum", None),
        Err(error) => verdict.broken(format!("who leads cannot be read ({error})"), None),
    }
    let good = check_snapshots(conn, verdict);
    check_log(conn, file, &good, verdict);
    missing_at_end(acknowledged, verdict);
    if let Acknowledged::At(tip) = acknowledged
        && let Ok(Some(hash)) = sqlite::stored_hash(conn, tip.seq)
        && hash != tip.hash
    {
        verdict.broken("the log is not the one that was acknowledged", Some((1, tip.seq.0)));
    }
    check_bodies(conn, verdict);
}

fn missing_at_end(acknowledged: &Acknowledged, verdict: &mut Verdict) {
    if let Acknowledged::At(tip) = acknowledged
        && tip.seq.0 > verdict.last
    {
        let missing = (verdict.last + 1, tip.seq.0);
        verdict.broken("acknowledged batches are missing at the end of the log", Some(missing));
    }
}

fn check_sqlite(conn: &Connection, verdict: &mut Verdict) {
    let found: rusqlite::Result<Vec<String>> = conn
        .prepare("PRAGMA integrity_check(20)")
        .and_then(|mut pragma| pragma.query_map([], |row| row.get(0))?.collect());
    match found {
        Ok(lines) => {
            for line in lines.iter().filter(|line| *line != "ok") {
                verdict.broken(format!("SQLite says: {line}"), None);
            }
        }
        Err(error) => verdict.broken(format!("SQLite cannot check it ({error})"), None),
    }
}

/// Checks the snapshots; returns where whole ones stand, the newest first, and the beginning.
fn check_snapshots(conn: &Connection, verdict: &mut Verdict) -> Vec<Tip> {
    let heads = match sqlite::heads(conn) {
        Ok(heads) => heads,
        Err(error) => {
            verdict.broken(format!("the list of snapshots cannot be read ({error})"), None);
            return vec![EMPTY];
        }
    };
    let mut good = Vec::new();
    for head in &heads {
        let whole = sqlite::load(conn, head).is_some();
        if whole {
            good.push(Tip { seq: head.seq, hash: head.log_hash });
        } else {
            verdict.odd(format!("the snapshot at batch {} is bad and is not used", head.seq.0));
        }
        verdict.snapshots.push(SnapshotFound { seq: head.seq.0, parts: head.parts, whole });
    }
    verdict.last = heads.iter().filter(|head| head.good).map(|head| head.seq.0).max().unwrap_or(0);
    good.push(EMPTY);
    good
}

/// Walks the chain from the oldest row that can be tied to something, and from each whole
/// snapshot after a break.
fn check_log(conn: &Connection, file: &Path, starts: &[Tip], verdict: &mut Verdict) {
    let ends = "SELECT min(seq), max(seq) FROM log";
    let ends: rusqlite::Result<(Option<i64>, Option<i64>)> =
        conn.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (first, last) = match ends {
        Ok((Some(first), Some(last))) => (Seq(first.cast_unsigned()), Seq(last.cast_unsigned())),
        Ok(_) => {
            verdict.savable = starts.first().map(|start| start.seq.0);
            if starts.first().is_none_or(|start| start.seq.0 < verdict.last) {
                verdict.broken("there is neither a whole snapshot nor a log", None);
            }
            return;
        }
        Err(error) => return verdict.broken(format!("the log cannot be read ({error})"), None),
    };
    verdict.first = Some(first.0);
    if last.0 < verdict.last {
        verdict.broken("the log ends before a snapshot", Some((last.0 + 1, verdict.last)));
    }
    verdict.last = verdict.last.max(last.0);
    let usable: Vec<Tip> =
        starts.iter().copied().filter(|start| first <= start.seq.next()).collect();
    if usable.is_empty() {
        let gone = (1, first.0.saturating_sub(1));
        return verdict.broken("no whole snapshot stands at the log's beginning", Some(gone));
    }
    let mut reached = EMPTY.seq;
    for start in usable.iter().rev().filter(|start| start.seq <= last) {
        if start.seq < reached {
            continue;
        }
        reached = walk(conn, file, *start, verdict);
        verdict.savable = Some(reached.0);
        if reached == last {
            return;
        }
    }
}

/// Follows the chain to its end or its first break; returns the last good batch.
fn walk(conn: &Connection, file: &Path, start: Tip, verdict: &mut Verdict) -> Seq {
    let mut walk = Walk::new(conn, file, start);
    loop {
        match walk.more() {
            Ok(rows) if rows.is_empty() => {
                if walk.at().0 < verdict.last {
                    let missing = (walk.at().0 + 1, verdict.last);
                    verdict.broken("batches are missing", Some(missing));
                }
                return walk.at();
            }
            Ok(rows) => verdict.batches_good += rows.len() as u64,
            Err(_) => {
                let lost = (walk.at().0 + 1, verdict.last);
                verdict.broken("the chain breaks", Some(lost));
                return walk.at();
            }
        }
    }
}

/// Reads every result and output and compares its sum.
fn check_bodies(conn: &Connection, verdict: &mut Verdict) {
    let blocks = (|| {
        let mut select = conn.prepare("SELECT id, hash, data FROM result_block")?;
        let mut rows = select.query([])?;
        let (mut count, mut bad) = (0_u64, 0_u64);
        while let Some(row) = rows.next()? {
            let id = ganger_proto::BlockId::new(row.get::<_, i64>(0)?.cast_unsigned());
            count += 1;
            let data: Vec<u8> = row.get(2)?;
            bad += u64::from(block_sum(id, &data) != sqlite::column_sum(row, 1)?);
        }
        Ok((count, bad))
    })();
    verdict.blocks = bodies_found(blocks, "result blocks", verdict);
    let outputs = (|| {
        let select = "SELECT task, attempt, stream, head, skipped, data, hash FROM output";
        let mut select = conn.prepare(select)?;
        let mut rows = select.query([])?;
        let (mut count, mut bad) = (0_u64, 0_u64);
        while let Some(row) = rows.next()? {
            count += 1;
            let output = sqlite::output_of(row)?;
            bad += u64::from(output_sum(&output) != sqlite::column_sum(row, 6)?);
        }
        Ok((count, bad))
    })();
    verdict.outputs = bodies_found(outputs, "outputs", verdict);
    match sqlite::has_parts(conn) {
        Ok(true) => check_parts(conn, verdict),
        Ok(false) => {}
        Err(error) => verdict.broken(format!("the tables cannot be read ({error})"), None),
    }
}

/// Reads every part of an output and compares its sum; then whether each output has all its parts.
fn check_parts(conn: &Connection, verdict: &mut Verdict) {
    let parts = (|| {
        let select = "SELECT task, attempt, stream, part, data, hash FROM output_part";
        let mut select = conn.prepare(select)?;
        let mut rows = select.query([])?;
        let (mut count, mut bad) = (0_u64, 0_u64);
        while let Some(row) = rows.next()? {
            count += 1;
            let (of, data) = (sqlite::key_of(row)?, row.get::<_, Vec<u8>>(4)?);
            bad +=
                u64::from(output_part_sum(of, row.get(3)?, &data) != sqlite::column_sum(row, 5)?);
        }
        Ok((count, bad))
    })();
    bodies_found(parts, "parts of outputs", verdict);
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let same = "p.task = o.task AND p.attempt = o.attempt AND p.stream = o.stream";
    let lacking = number(&format!(
        "SELECT count(*) FROM output AS o WHERE o.head > length(o.data) AND (o.head, \
         (o.head + {OUTPUT_PART_BYTES} - 1) / {OUTPUT_PART_BYTES}) IS NOT (SELECT \
         sum(length(p.data)), count(*) FROM output_part AS p WHERE {same})"
    ));
    match lacking {
        Ok(0) => {}
        Ok(count) => verdict.broken(format!("{count} outputs lack parts"), None),
        Err(error) => verdict.broken(format!("the outputs cannot be read ({error})"), None),
    }
    let left = number(&format!(
        "SELECT count(*) FROM output_part AS p WHERE NOT EXISTS (SELECT 1 FROM output AS o \
         WHERE {same} AND o.head > length(o.data))"
    ));
    if let Ok(count @ 1..) = left {
        verdict.odd(format!("{count} parts belong to no output; the next master drops them"));
    }
}

fn bodies_found(found: rusqlite::Result<(u64, u64)>, what: &str, verdict: &mut Verdict) -> u64 {
    match found {
        Ok((count, 0)) => count,
        Ok((count, bad)) => {
            verdict.broken(format!("{bad} of {count} {what} do not match their sums"), None);
            count
        }
        Err(error) => {
            verdict.broken(format!("the {what} cannot be read ({error})"), None);
            0
        }
    }
}
