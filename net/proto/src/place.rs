//! Which slots a task takes, and which workers may have it: lanes, needs, worker labels. Does not
//! decide who gets what; see the engine.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Name, NameError};
use crate::label::Label;
use crate::spec::Kind;

/// Needs of one task, its share of the processors included.
pub const NEEDS_MAX: usize = 8;
/// Labels that one task asks of its worker.
pub const ON_MAX: usize = 8;
/// Handlers and resources that one worker offers, each.
pub const OFFERS_MAX: usize = 64;

/// A kind of slots of a worker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// For work that keeps a processor busy; as many slots as processors when not said.
    #[default]
    Cpu,
    /// For work that mostly waits; many slots.
    Io,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Io];

    /// Returns the lane's one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A number for each lane.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PerLane {
    /// Of the lane `cpu`.
    pub cpu: u32,
    /// Of the lane `io`.
    pub io: u32,
}

impl PerLane {
    /// Returns the number of one lane.
    pub const fn of(&self, lane: Lane) -> u32 {
        match lane {
            Lane::Cpu => self.cpu,
            Lane::Io => self.io,
        }
    }

    /// Returns the number of one lane, to be changed.
    pub const fn of_mut(&mut self, lane: Lane) -> &mut u32 {
        match lane {
            Lane::Cpu => &mut self.cpu,
            Lane::Io => &mut self.io,
        }
    }

    /// Returns both together.
    pub const fn sum(&self) -> u32 {
        self.cpu.saturating_add(self.io)
    }

    /// Returns each number, or `most` where it is over that.
    #[must_use]
    pub fn at_most(self, most: u32) -> Self {
        Self { cpu: self.cpu.min(most), io: self.io.min(most) }
    }
}

/// An amount of something that workers have. `cpu` counts slots of the lane `cpu`, `mem` bytes;
/// other names are what workers say that they have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Need {
    /// Of what.
    pub name: Name,
    /// How much; at least 1.
    pub amount: u64,
}

/// The text is no need.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeedError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The amount is none.
    #[error(
        "`{text}` is no need; write NAME=AMOUNT with an amount from 1, as cpu=2, mem=4G or gpu=1"
    )]
    Amount {
        /// What was given.
        text: String,
    },
}

impl Need {
    /// Reads `cpu=2`, `mem=4G`, `gpu=1`. K, M, G and T are 1,024 and its powers.
    ///
    /// # Errors
    /// Says what a need is when `text` is none.
    pub fn parse(text: &str) -> Result<Self, NeedError> {
        let wrong = || NeedError::Amount {
            text: text.chars().filter(|c| !c.is_control()).take(60).collect(),
        };
        let (name, amount) = text.split_once('=').ok_or_else(wrong)?;
        let name = Name::parse(name)?;
        let digits = amount.trim_end_matches(|c: char| !c.is_ascii_digit());
        let shift = match &amount[digits.len()..] {
            "" => 0,
            "K" | "k" => 10,
            "M" | "m" => 20,
            "G" | "g" => 30,
            "T" | "t" => 40,
            _ => return Err(wrong()),
        };
        let amount: u64 = digits.parse().map_err(|_| wrong())?;
        let amount = amount.checked_mul(1 << shift).filter(|amount| *amount > 0);
        Ok(Self { name, amount: amount.ok_or_else(wrong)? })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        let whole = |shift: u32| self.amount >= 1 << shift && self.amount.trailing_zeros() >= shift;
        match UNITS.iter().find(|(shift, _)| whole(*shift) && self.name.as_str() == "mem") {
            Some((shift, unit)) => write!(f, "{}={}{unit}", self.name, self.amount >> shift),
            None => write!(f, "{}={}", self.name, self.amount),
        }
    }
}

/// Which slots a task takes, and which workers may have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Placement {
    /// The lane; that of the handler's configuration, else `cpu`, when not said.
    pub lane: Option<Lane>,
    /// What it needs beside one slot, by name, each name once.
    pub needs: Vec<Need>,
    /// Labels that its worker must have.
    pub on: Vec<Label>,
}

impl Placement {
    /// Returns how many slots of its lane a task takes.
    pub fn slots(&self) -> u32 {
        let cpu = self.needs.iter().find(|need| need.name.as_str() == "cpu");
        cpu.map_or(1, |need| u32::try_from(need.amount).unwrap_or(u32::MAX))
    }

    /// Returns what it needs that slots do not count.
    pub fn beside_slots(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter().filter(|need| need.name.as_str() != "cpu")
    }

    /// Returns the lane of a task of this kind on a worker with these handlers; none when the
    /// worker lacks the handler.
    pub fn lane_on(&self, kind: &Kind, handlers: &[Offer]) -> Option<Lane> {
        match kind {
            Kind::Handler { name } => {
                let offer = handlers.iter().find(|offer| offer.name == *name)?;
                Some(self.lane.unwrap_or(offer.lane))
            }
            Kind::Square | Kind::Sleep | Kind::Exec { .. } | Kind::Shell { .. } => {
                Some(self.lane.unwrap_or_default())
            }
        }
    }

    /// Checks the limits, wherever it came from.
    ///
    /// # Errors
    /// Names the limit that is passed.
    pub fn check(&self) -> Result<(), PlacementError> {
        if self.needs.len() > NEEDS_MAX {
            return Err(PlacementError::Needs { count: self.needs.len() });
        }
        if self.on.len() > ON_MAX {
            return Err(PlacementError::On { count: self.on.len() });
        }
        let mut names: Vec<&Name> = self.needs.iter().map(|need| &need.name).collect();
        names.sort_unstable();
        if let Some(two) = names.windows(2).find(|two| two[0] == two[1]) {
            return Err(PlacementError::Twice { name: two[0].clone() });
        }
        if let Some(need) = self.needs.iter().find(|need| need.amount == 0) {
            return Err(PlacementError::Nothing { name: need.name.clone() });
        }
        let cpu = self.needs.iter().any(|need| need.name.as_str() == "cpu");
        if cpu && self.lane == Some(Lane::Io) {
            return Err(PlacementError::CpuOfIo);
        }
        Ok(())
    }
}

/// A placement passes a limit or makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PlacementError {
    /// Too many needs.
    #[error("{count} needs were given, the limit is {NEEDS_MAX}")]
    Needs {
        /// How many there are.
        count: usize,
    },
    /// Too many labels.
    #[error("{count} labels were asked of the worker, the limit is {ON_MAX}")]
    On {
        /// How many there are.
        count: usize,
    },
    /// The same need more than once.
    #[error("`{name}` is needed twice; give it once")]
    Twice {
        /// Its name.
        name: Name,
    },
    /// None of something.
    #[error("none of `{name}` is needed; leave it away")]
    Nothing {
        /// Its name.
        name: Name,
    },
    /// Processors in the lane for tasks that wait.
    #[error("the lane io has no processors to give; leave `cpu` or the lane away")]
    CpuOfIo,
}

/// A handler that a worker offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// Its name.
    pub name: Name,
    /// The lane of tasks that do not say theirs.
    pub lane: Lane,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read_and_shown() {
        let check = |text: &str, amount: u64, shown: &str| {
            let need = Need::parse(text).unwrap();
            assert_eq!((need.amount, need.to_string().as_str()), (amount, shown));
        };
        check("cpu=2", 2, "cpu=2");
        check("mem=4G", 4 << 30, "mem=4G");
        check("mem=1536m", 1_536 << 20, "mem=1536M");
        check("mem=1025", 1_025, "mem=1025");
        check("gpu=1024", 1_024, "gpu=1024");
        for text in ["cpu", "cpu=", "cpu=0", "cpu=-1", "cpu=2X", "=2", "C=1", "mem=99999999T"] {
            assert!(Need::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn placements_that_make_no_sense_are_refused() {
        let with = |lane, needs: &[&str]| {
            let needs = needs.iter().map(|text| Need::parse(text).unwrap()).collect();
            Placement { lane, needs, on: Vec::new() }.check()
        };
        assert!(with(None, &["cpu=2", "gpu=1"]).is_ok());
        assert!(with(Some(Lane::Io), &["gpu=1"]).is_ok());
        assert_eq!(with(Some(Lane::Io), &["cpu=2"]), Err(PlacementError::CpuOfIo));
        let twice = with(None, &["gpu=1", "cpu=1", "gpu=2"]).unwrap_err();
        assert!(twice.to_string().contains("`gpu` is needed twice"));
    }

    #[test]
    fn a_handlers_lane_is_its_workers_unless_the_task_says() {
        let name = Name::from_lossy("fetch");
        let offers = [Offer { name: name.clone(), lane: Lane::Io }];
        let kind = Kind::Handler { name };
        let said = Placement { lane: Some(Lane::Cpu), ..Placement::default() };
        assert_eq!(Placement::default().lane_on(&kind, &offers), Some(Lane::Io));
        assert_eq!(said.lane_on(&kind, &offers), Some(Lane::Cpu));
        assert_eq!(said.lane_on(&kind, &[]), None);
        assert_eq!(Placement::default().lane_on(&Kind::Square, &offers), Some(Lane::Cpu));
    }
}
