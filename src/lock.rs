//! Taking a file's lock with a moment's patience. Decides nothing about what the lock means.

use std::fs::{File, TryLockError};
use std::time::Duration;

/// How often a held lock is tried, and the pause between: a quarter of a second in all.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(10);

/// Takes a file's lock; a lock that is held only for a moment is waited for. The lock belongs to
/// the open file, and so for that moment also to a child between its fork and its exec: a process
/// that has just let go can still look as if it held on.
///
/// # Errors
/// `WouldBlock` when somebody really holds it, else what the system says.
pub fn take(file: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => pause(),
            done => return done,
        }
    }
    file.try_lock()
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when a lock becomes free")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_refused_and_a_free_one_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let one = File::create(&path).unwrap();
        let two = File::open(&path).unwrap();
        take(&one).unwrap();
        assert!(matches!(take(&two), Err(TryLockError::WouldBlock)));
        drop(one);
        take(&two).unwrap();
    }
}
