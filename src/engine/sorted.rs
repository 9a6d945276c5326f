//! A sorted list that grows by single rows and answers which row stands where. Knows no task.

use ganger_proto::TaskId;

/// What is compared, then the id.
pub(super) type Row = (i64, TaskId);

/// Rows in rising order, in buckets: adding one moves at most a bucket, a place is found by walking
/// over the buckets. A million rows are about 1,500 buckets.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    buckets: Vec<Vec<Row>>,
    len: usize,
}

/// A bucket with so many rows is cut in two.
const BUCKET_ROWS_MAX: usize = 1_024;

impl Sorted {
    /// Returns how many rows there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a row that is not there yet.
    pub(super) fn insert(&mut self, row: Row) {
        self.len += 1;
        if self.buckets.is_empty() {
            self.buckets.push(Vec::new());
        }
        let at = self.bucket_of(row);
        let bucket = &mut self.buckets[at];
        let place = bucket.partition_point(|other| *other < row);
        bucket.insert(place, row);
        if bucket.len() >= BUCKET_ROWS_MAX {
            let upper = bucket.split_off(BUCKET_ROWS_MAX / 2);
            self.buckets.insert(at + 1, upper);
        }
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, row: Row) {
        let at = self.bucket_of(row);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        if let Ok(place) = bucket.binary_search(&row) {
            bucket.remove(place);
            self.len -= 1;
            if bucket.is_empty() {
                self.buckets.remove(at);
            }
        }
    }

    /// Tells whether a row is there.
    pub(super) fn contains(&self, row: Row) -> bool {
        let bucket = self.buckets.get(self.bucket_of(row));
        bucket.is_some_and(|bucket| bucket.binary_search(&row).is_ok())
    }

    /// Returns how many rows are smaller.
    pub(super) fn rank(&self, row: Row) -> usize {
        let at = self.bucket_of(row);
        let before: usize = self.buckets.iter().take(at).map(Vec::len).sum();
        let within = self.buckets.get(at).map_or(0, |b| b.partition_point(|other| *other < row));
        before + within
    }

    /// Iterates over the rows from a place on.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = Row> {
        let mut skip = place;
        let mut at = 0;
        while let Some(bucket) = self.buckets.get(at)
            && bucket.len() <= skip
        {
            skip -= bucket.len();
            at += 1;
        }
        self.buckets.iter().skip(at).flatten().skip(skip).copied()
    }

    /// Returns the bucket that holds a row or would.
    fn bucket_of(&self, row: Row) -> usize {
        let begins_before = |bucket: &Vec<Row>| bucket.first().is_some_and(|first| *first <= row);
        self.buckets.partition_point(begins_before).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_a_plain_list_has_them() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut sorted, mut plain) = (Sorted::default(), Vec::new());
        for id in 0..6_000 {
            let row = (rng.i64(-20..20), TaskId::new(id));
            sorted.insert(row);
            plain.push(row);
        }
        for _ in 0..2_000 {
            let row = plain.swap_remove(rng.usize(..plain.len()));
            sorted.remove(row);
            assert!(!sorted.contains(row));
        }
        plain.sort_unstable();
        assert_eq!(sorted.len(), plain.len());
        assert!(sorted.from(0).eq(plain.iter().copied()));
        for (place, row) in plain.iter().enumerate().step_by(97) {
            assert_eq!(sorted.rank(*row), place);
            assert_eq!(sorted.from(place).next(), Some(*row));
        }
        assert_eq!(sorted.from(plain.len()).next(), None);
        assert_eq!(sorted.rank((99, TaskId::new(0))), plain.len());
        assert_eq!(Sorted::default().rank((0, TaskId::new(0))), 0);
    }
}
