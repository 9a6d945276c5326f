//! The arguments of the tasks of a batch: listed one by one, a range, or nothing but a count.
//! Does not expand templates; see template.rs.

use serde::{Deserialize, Deserializer, Serialize};

/// Byte strings stored end to end: one allocation for any number of arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ArgList {
    /// Where each argument ends in `bytes`; never decreases.
    ends: Vec<u32>,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

impl ArgList {
    /// Returns an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an empty list with room for `items` arguments of `bytes` bytes in all.
    pub fn with_capacity(items: usize, bytes: usize) -> Self {
        Self { ends: Vec::with_capacity(items), bytes: Vec::with_capacity(bytes) }
    }

    /// Adds one argument at the end.
    ///
    /// # Panics
    /// When the list would hold 4 GiB; frames keep it below 1 MiB.
    pub fn push(&mut self, argument: &[u8]) {
        self.bytes.extend_from_slice(argument);
        let end = u32::try_from(self.bytes.len()).expect("an argument list stays below 4 GiB");
        self.ends.push(end);
    }

    /// Adds what `write` appends to the buffer as one argument; saves a copy.
    ///
    /// # Panics
    /// As [`ArgList::push`].
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        let end = u32::try_from(self.bytes.len()).expect("an argument list stays below 4 GiB");
        self.ends.push(end);
    }

    /// Adds `count` arguments of `other` from `first` on.
    pub fn extend_from(&mut self, other: &Self, first: usize, count: usize) {
        let from = first.checked_sub(1).map_or(0, |i| other.ends[i]);
        let to = (first + count).checked_sub(1).map_or(0, |i| other.ends[i]);
        let base = u32::try_from(self.bytes.len()).expect("an argument list stays below 4 GiB");
        self.bytes.extend_from_slice(&other.bytes[from as usize..to as usize]);
        self.ends.extend(other.ends[first..first + count].iter().map(|end| end - from + base));
    }

    /// Returns how many arguments there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the bytes of all arguments together.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns one argument, or nothing past the end.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |i| self.ends[i] as usize);
        self.bytes.get(start..end)
    }

    /// Returns the bytes of `count` arguments from `first` on, without copying them.
    pub fn bytes_of(&self, first: usize, count: usize) -> usize {
        let from = first.checked_sub(1).and_then(|i| self.ends.get(i)).copied().unwrap_or(0);
        let to = (first + count).checked_sub(1).and_then(|i| self.ends.get(i)).copied();
        to.unwrap_or(from).saturating_sub(from) as usize
    }

    /// Iterates over the arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let item = self.bytes.get(std::mem::replace(&mut start, end)..end);
            item.unwrap_or_default()
        })
    }

    /// Gives back memory that the list does not use.
    pub fn shrink(&mut self) {
        self.ends.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }
}

impl<'a> FromIterator<&'a [u8]> for ArgList {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(items: I) -> Self {
        let mut list = Self::new();
        for item in items {
            list.push(item);
        }
        list
    }
}

/// Decoding checks that the ends fit the bytes, so that no later access can be out of range.
impl<'de> Deserialize<'de> for ArgList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            ends: Vec<u32>,
            #[serde(with = "serde_bytes")]
            bytes: Vec<u8>,
        }
        let raw = Raw::deserialize(from)?;
        let rises = raw.ends.is_sorted();
        if !rises || raw.ends.last().copied().unwrap_or(0) as usize != raw.bytes.len() {
            return Err(serde::de::Error::custom("argument list does not fit its bytes"));
        }
        Ok(Self { ends: raw.ends, bytes: raw.bytes })
    }
}

/// The arguments of a run of tasks with consecutive ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Args {
    /// One byte string per task.
    Listed(ArgList),
    /// `first`, `first + step`, … `count` values, as decimal text.
    Range {
        /// The first value.
        first: i64,
        /// The difference between neighbours; never 0.
        step: i64,
        /// How many values.
        count: u64,
    },
    /// `count` tasks without an argument of their own.
    Repeat {
        /// How many tasks.
        count: u64,
    },
}

impl Args {
    /// Returns how many tasks these are the arguments of.
    pub fn count(&self) -> u64 {
        match self {
            Self::Listed(list) => list.len() as u64,
            Self::Range { count, .. } | Self::Repeat { count } => *count,
        }
    }

    /// Tells whether every value exists: a range stays within i64 and its step is not 0.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Listed(_) | Self::Repeat { .. } => true,
            Self::Range { first, step, count } => {
                let last = i128::from(*first)
                    + i128::from(*step) * (i128::from(*count).saturating_sub(1)).max(0);
                *step != 0 && i64::try_from(last).is_ok()
            }
        }
    }

    /// Appends the argument of the task `index` places after the first one; nothing for a repeat
    /// or past the end.
    pub fn write(&self, index: u64, out: &mut Vec<u8>) {
        match self {
            Self::Listed(list) => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                out.extend_from_slice(list.get(index).unwrap_or_default());
            }
            Self::Range { first, step, count } if index < *count => {
                use std::io::Write as _;
                let value = i128::from(*first) + i128::from(*step) * i128::from(index);
                // A sound range stays within 64 bits, whose digits cost a third of those of 128.
                match i64::try_from(value) {
                    Ok(value) => write!(out, "{value}"),
                    Err(_) => write!(out, "{value}"),
                }
                .expect("writing to memory does not fail");
            }
            Self::Range { .. } | Self::Repeat { .. } => {}
        }
    }

    /// Returns the arguments of `count` tasks from the `skip`th on.
    ///
    /// # Panics
    /// When `skip + count` is more than there are.
    pub fn slice(&self, skip: u64, count: u64) -> Self {
        assert!(skip + count <= self.count(), "the slice is within the arguments");
        match self {
            Self::Listed(list) => {
                let (skip, count) = (skip as usize, count as usize);
                let mut part = ArgList::with_capacity(count, list.bytes_of(skip, count));
                part.extend_from(list, skip, count);
                Self::Listed(part)
            }
            Self::Range { first, step, .. } => {
                let first = i128::from(*first) + i128::from(*step) * i128::from(skip);
                let first = i64::try_from(first).expect("a sound range stays within i64");
                Self::Range { first, step: *step, count }
            }
            Self::Repeat { .. } => Self::Repeat { count },
        }
    }

    /// Returns the bytes that the arguments of `count` tasks from `skip` on take on the wire,
    /// about.
    pub fn bytes_of(&self, skip: u64, count: u64) -> usize {
        match self {
            Self::Listed(list) => list.bytes_of(skip as usize, count as usize),
            Self::Range { .. } | Self::Repeat { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_items() {
        let list: ArgList = [&b"a"[..], b"", b"two words"].into_iter().collect();
        assert_eq!(list.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"two words"]);
        let Args::Listed(part) = Args::Listed(list.clone()).slice(1, 2) else { panic!() };
        assert_eq!(part.iter().collect::<Vec<_>>(), [&b""[..], b"two words"]);
        assert_eq!(list.bytes_of(0, 2), 1);
        let bytes = postcard::to_allocvec(&list).unwrap();
        assert_eq!(postcard::from_bytes::<ArgList>(&bytes).unwrap(), list);
    }

    #[test]
    fn a_list_that_lies_is_refused() {
        for (ends, bytes) in [(vec![2u32], vec![0u8]), (vec![2, 1], vec![0]), (vec![], vec![7])] {
            let encoded =
                postcard::to_allocvec(&(ends, serde_bytes::ByteBuf::from(bytes))).unwrap();
            assert!(postcard::from_bytes::<ArgList>(&encoded).is_err());
        }
    }

    #[test]
    fn ranges_count_up_and_down() {
        let text = |args: &Args, i| {
            let mut out = Vec::new();
            args.write(i, &mut out);
            String::from_utf8(out).unwrap()
        };
        let down = Args::Range { first: 5, step: -2, count: 3 };
        assert_eq!([text(&down, 0), text(&down, 2), text(&down, 3)], ["5", "1", ""]);
        assert!(down.is_sound());
        assert!(!Args::Range { first: i64::MAX, step: 1, count: 2 }.is_sound());
        assert!(!Args::Range { first: 0, step: 0, count: 2 }.is_sound());
    }
}
