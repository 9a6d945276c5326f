//! Several sources together, in GNU parallel's order: crossed, the last one turning fastest, or
//! linked. The first one is read as it goes; those that must be read again are kept in memory.

use super::super::error::{CliError, Result};
use super::records::{Records, Row};
use super::words::Joint;

/// Bytes of sources that are kept because they are read again and again.
const KEPT_BYTES_MAX: usize = 1 << 30;

/// Rows of all sources.
pub(crate) struct Cross {
    first: Linked,
    /// The row of the first group that is crossed with the others.
    outer: Option<Row>,
    /// The other groups, kept, each with the place of its next row.
    others: Vec<(Vec<Row>, usize)>,
}

/// Sources read side by side, a record of each; the shortest ends them.
struct Linked(Vec<Records>);

/// What sources together are when one is shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// As each says for itself.
    Each,
    /// All linked; shorter ones begin again.
    All,
}

impl Cross {
    /// Joins opened sources; at least one.
    ///
    /// # Errors
    /// When one that must be kept cannot be read, or is too large.
    pub(crate) fn new(sources: Vec<(Records, Joint)>, link: Link) -> Result<Self> {
        if link == Link::All && sources.len() > 1 {
            return Self::wrapped(sources.into_iter().map(|(records, _)| records).collect());
        }
        let mut groups: Vec<Linked> = Vec::new();
        for (records, joint) in sources {
            match groups.last_mut() {
                Some(group) if joint == Joint::Linked => group.0.push(records),
                Some(_) | None => groups.push(Linked(vec![records])),
            }
        }
        let mut groups = groups.into_iter();
        let first = groups.next().unwrap_or(Linked(Vec::new()));
        let mut room = KEPT_BYTES_MAX;
        let others = groups.map(|group| Ok((group.all(&mut room)?, 0)));
        Ok(Self { first, outer: None, others: others.collect::<Result<_>>()? })
    }

    /// All linked: as many rows as the longest has, the shorter ones begin again.
    fn wrapped(sources: Vec<Records>) -> Result<Self> {
        let mut room = KEPT_BYTES_MAX;
        let kept: Vec<Vec<Row>> = sources
            .into_iter()
            .map(|records| Linked(vec![records]).all(&mut room))
            .collect::<Result<_>>()?;
        let empty = kept.iter().any(Vec::is_empty);
        let longest = if empty { 0 } else { kept.iter().map(Vec::len).max().unwrap_or(0) };
        let row = |at: usize| kept.iter().flat_map(|rows| rows[at % rows.len()].clone()).collect();
        let rows: Vec<Row> = (0..longest).map(row).collect();
        // Crossed with one row without a column.
        let others = vec![(rows, 0)];
        Ok(Self { first: Linked(Vec::new()), outer: Some(Row::new()), others })
    }

    /// Returns how many rows are left, when that is known without reading.
    pub(crate) fn left(&self) -> Option<u64> {
        let first = match (self.first.0.as_slice(), &self.outer) {
            ([], Some(_)) => 1,
            ([one], None) => one.left()?,
            ([] | [_, ..], _) => return None,
        };
        self.others.iter().try_fold(first, |all, (rows, _)| all.checked_mul(rows.len() as u64))
    }

    /// Says where the newest row came from.
    pub(crate) fn place(&self) -> String {
        self.first.0.first().map_or_else(|| "a row".to_owned(), Records::place)
    }

    /// Returns the name of the first source.
    pub(crate) fn name(&self) -> &str {
        self.first.0.first().map_or("the list", Records::name)
    }

    /// Returns the source when it is the only one and each of its records is an argument as it
    /// stands, so that no row need be made.
    pub(crate) fn only_whole(&mut self) -> Option<&mut Records> {
        match self.first.0.as_mut_slice() {
            [one] if self.others.is_empty() && one.are_whole() => Some(one),
            [] | [_, ..] => None,
        }
    }

    /// Adds the next row's columns to `row`; tells whether there was one.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub(crate) fn next_into(&mut self, row: &mut Row) -> Result<bool> {
        if self.others.is_empty() {
            return self.first.next_into(row);
        }
        if self.others.iter().any(|(rows, _)| rows.is_empty()) {
            return Ok(false);
        }
        if self.outer.is_none() {
            let mut outer = Row::new();
            if !self.first.next_into(&mut outer)? {
                return Ok(false);
            }
            self.outer = Some(outer);
        }
        row.extend(self.outer.iter().flatten().cloned());
        for (rows, at) in &self.others {
            row.extend(rows[*at].iter().cloned());
        }
        self.turn();
        Ok(true)
    }

    /// Turns the last group by one row, and those before it when it has come round.
    fn turn(&mut self) {
        for (rows, at) in self.others.iter_mut().rev() {
            *at += 1;
            if *at < rows.len() {
                return;
            }
            *at = 0;
        }
        self.outer = None;
    }
}

impl Linked {
    fn next_into(&mut self, row: &mut Row) -> Result<bool> {
        let before = row.len();
        for records in &mut self.0 {
            if !records.next_into(row)? {
                row.truncate(before);
                return Ok(false);
            }
        }
        Ok(!self.0.is_empty())
    }

    /// Reads all; `room` is what may still be kept.
    fn all(mut self, room: &mut usize) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        let mut row = Row::new();
        while self.next_into(&mut row)? {
            let bytes: usize = row.iter().map(|value| value.len() + 48).sum();
            let Some(left) = room.checked_sub(bytes) else {
                let name = self.0.first().map_or("a source", Records::name).to_owned();
                return Err(CliError::usage(format!(
                    "{name} is crossed or linked with other sources and so kept in memory, and it \
                     is over 1 GiB; put it first, where it is read as it goes"
                )));
            };
            *room = left;
            all.push(std::mem::take(&mut row));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::records::{Blank, Cutting, Reading};
    use super::super::words::Origin;
    use super::*;

    fn rows(line: &str, link: Link) -> (Option<u64>, String) {
        let sources = line.split(' ').map(|list| {
            let joint = if list.starts_with('+') { Joint::Linked } else { Joint::Crossed };
            let words = list.trim_start_matches('+').split_terminator(',');
            let origin = Origin::Words(words.map(OsString::from).collect());
            let reading = Reading { end: b'\n', columns: Cutting::Whole, blank: Blank::Kept };
            (Records::open(origin, reading).unwrap(), joint)
        });
        let mut cross = Cross::new(sources.collect(), link).unwrap();
        let left = cross.left();
        let mut all = Vec::new();
        let mut row = Row::new();
        while cross.next_into(&mut row).unwrap() {
            let values: Vec<_> = row.drain(..).map(|v| String::from_utf8(v).unwrap()).collect();
            all.push(values.concat());
        }
        (left, all.join(" "))
    }

    #[test]
    fn rows_come_in_gnu_parallels_order() {
        let check = |line: &str, expected: &str| {
            let (left, shown) = rows(line, Link::Each);
            assert_eq!(shown, expected, "{line}");
            let count = expected.split_whitespace().count() as u64;
            assert!(left.is_none_or(|left| left == count), "{line}: {left:?}");
        };
        check("a,b,c", "a b c");
        check("a,b 1,2", "a1 a2 b1 b2");
        check("a,b 1,2 x,y", "a1x a1y a2x a2y b1x b1y b2x b2y");
        check("a,b,c +1,2", "a1 b2");
        check("a,b +1,2,3 x,y", "a1x a1y b2x b2y");
        check("a,b 1,2 +x,y", "a1x a2y b1x b2y");
        check("a,b ,", "a b");
        check("a,b 1,2 ", "");
    }

    #[test]
    fn linked_sources_begin_again() {
        let check = |line: &str, expected: &str| {
            assert_eq!(rows(line, Link::All).1, expected, "{line}");
        };
        check("a,b,c 1,2", "a1 b2 c1");
        check("a 1,2,3 x,y", "a1x a2y a3x");
        check("a,b", "a b");
        check("a,b ", "");
    }
}
