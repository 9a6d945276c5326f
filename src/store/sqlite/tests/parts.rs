//! Outputs that are kept in parts: written, read, replaced, dropped, checked.

use ganger_proto::limits::OUTPUT_PART_BYTES;

use super::*;
use crate::store::OutputKey;

const PART: usize = OUTPUT_PART_BYTES;

fn key(task: u64) -> OutputKey {
    OutputKey { task: TaskId::new(task), attempt: 1, stream: Stream::Stdout }
}

fn whole(task: u64, bytes: usize) -> Output {
    Output { head: bytes as u64, skipped: 3, bytes: Vec::new(), ..output(task, 1, b"") }
}

fn write(log: &mut SqliteLog, term: &Term, task: u64, bytes: usize) {
    let data: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    for (part, data) in data.chunks(PART).enumerate() {
        log.write_output_part(term, key(task), u32::try_from(part).unwrap(), data).unwrap();
    }
}

fn finish(log: &mut SqliteLog, term: &Term, seq: u64, outputs: Vec<Output>) {
    let one = Batch { outputs, ..batch(seq) };
    log.append(term, Seq(seq), WallMs(1), &[one]).unwrap();
}

fn parts(log: &SqliteLog) -> i64 {
    let conn = &log.held.as_ref().unwrap().conn;
    conn.query_row("SELECT count(*) FROM output_part", [], |row| row.get(0)).unwrap()
}

fn trim(log: &mut SqliteLog, term: &Term) {
    while log.trim_outputs(term).unwrap() == Trim::More {}
}

#[test]
fn parts_count_with_their_output_and_are_read_one_by_one() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    let mut reader = log.reader().unwrap();
    let length = 2 * PART + 5;
    write(&mut log, &term, 1, length);
    assert_eq!(reader.output(TaskId::new(1), None, Stream::Stdout).unwrap(), None);
    finish(&mut log, &term, 1, vec![whole(1, length)]);
    let found = reader.output(TaskId::new(1), None, Stream::Stdout).unwrap().unwrap();
    assert_eq!((found.clone(), found.kept()), (whole(1, length), length as u64));
    let mut bytes = Vec::new();
    for part in 0..3 {
        bytes.extend(reader.output_part(key(1), part).unwrap().unwrap());
    }
    assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
    assert_eq!((bytes.len(), reader.output_part(key(1), 3).unwrap()), (length, None));
    assert_eq!(log.held.as_ref().unwrap().output_bytes, length as u64);
    assert_eq!(log.trim_outputs(&term).unwrap(), Trim::Done);
    // Sent again, it is there once.
    write(&mut log, &term, 1, length);
    finish(&mut log, &term, 2, vec![whole(1, length)]);
    trim(&mut log, &term);
    assert_eq!((log.held.as_ref().unwrap().output_bytes, parts(&log)), (length as u64, 3));
    assert!(fsck(home.folder.path()).unwrap().is_sound());
}

#[test]
fn what_no_output_tells_of_goes_a_few_parts_at_a_time() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    write(&mut log, &term, 1, 9 * PART);
    write(&mut log, &term, 2, 2 * PART);
    finish(&mut log, &term, 1, vec![whole(1, 9 * PART)]);
    let drop_first = Batch { drop_outputs: vec![TaskId::new(1)], ..batch(2) };
    log.append(&term, Seq(2), WallMs(1), &[drop_first]).unwrap();
    assert_eq!((log.held.as_ref().unwrap().output_bytes, parts(&log)), (0, 11));
    assert_eq!(log.trim_outputs(&term).unwrap(), Trim::More);
    assert_eq!(parts(&log), 7, "the rest waits");
    trim(&mut log, &term);
    assert_eq!(parts(&log), 2, "a transfer that goes on is left alone");
    // A transfer that broke off begins again before its parts are gone.
    log.drop_output_parts(key(2));
    write(&mut log, &term, 2, 2 * PART);
    trim(&mut log, &term);
    assert_eq!(parts(&log), 2);
    log.drop_output_parts(key(2));
    trim(&mut log, &term);
    assert_eq!(parts(&log), 0);
    // A master that dies leaves some; the next one finds them.
    write(&mut log, &term, 3, PART);
    write(&mut log, &term, 4, PART);
    finish(&mut log, &term, 3, vec![whole(4, PART)]);
    drop(log);
    let verdict = fsck(home.folder.path()).unwrap();
    assert!(verdict.is_sound() && verdict.odd[0].what.contains("1 parts belong"), "{verdict}");
    let (mut log, term) = home.open().unwrap();
    trim(&mut log, &term);
    assert_eq!(parts(&log), 1);
}

#[test]
fn the_cap_on_all_outputs_counts_and_drops_parts() {
    let home = Home::new();
    let mut log = SqliteLog::new(home.file()).with_output_bytes_max(3 * PART as u64);
    let term = log.acquire(&me(), WallMs(1)).unwrap();
    for task in 1..=3 {
        write(&mut log, &term, task, 2 * PART);
        finish(&mut log, &term, task, vec![whole(task, 2 * PART)]);
    }
    trim(&mut log, &term);
    let mut reader = log.reader().unwrap();
    let mut kept = |task| reader.output(TaskId::new(task), None, Stream::Stdout).unwrap().is_some();
    assert_eq!([kept(1), kept(2), kept(3)], [false, false, true]);
    assert_eq!((log.held.as_ref().unwrap().output_bytes, parts(&log)), (2 * PART as u64, 2));
    let held = log.held.as_ref().unwrap();
    held.conn.execute("UPDATE meta SET value = '5' WHERE key = 'output_bytes'", []).unwrap();
    log.acquire(&me(), WallMs(1)).unwrap();
    assert_eq!(log.held.as_ref().unwrap().output_bytes, 2 * PART as u64, "counted anew");
}

#[test]
fn parts_that_are_damaged_or_lacking_are_found() {
    let check = |damage: &str, expected: &str| {
        let home = Home::new();
        let (mut log, term) = home.open().unwrap();
        write(&mut log, &term, 1, 2 * PART);
        finish(&mut log, &term, 1, vec![whole(1, 2 * PART)]);
        log.held.as_ref().unwrap().conn.execute(damage, []).unwrap();
        let verdict = fsck(home.folder.path()).unwrap();
        let found: Vec<_> = verdict.broken.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(found, [expected], "{damage}");
        log.reader().unwrap().output_part(key(1), 1)
    };
    let bad = "1 of 2 parts of outputs do not match their sums";
    let zeros = "UPDATE output_part SET data = zeroblob(262144) WHERE part = 1";
    assert!(check(zeros, bad).unwrap_err().to_string().contains("part 1"));
    let other = "UPDATE output_part SET part = 7 WHERE part = 1";
    assert_eq!(check(other, bad).unwrap(), None);
    let lacking = "1 outputs lack parts";
    assert_eq!(check("DELETE FROM output_part WHERE part = 1", lacking).unwrap(), None);
    let bad = "1 of 1 outputs do not match their sums";
    assert!(check("UPDATE output SET skipped = 4", bad).is_ok());
}
