//! Classes: tasks that any worker either may have or may not, all alike. And profiles: what a
//! worker's session offers. Whether the one takes the other is said here, once, for grants and for
//! `why` alike. Does not know what is free at a moment beyond what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use ganger_proto::gang::Allows;
use ganger_proto::place::{Need, Offer};
use ganger_proto::{Kind, Label, Lane, Name, PerLane, Placement, Spec};

/// A class, as numbered within one life of a master. Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(u32);

/// What decides where a task may run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// What the worker's policy must allow.
    pub allows: Allows,
    /// The handler that the worker must offer.
    pub handler: Option<Name>,
    /// Lane, needs and labels.
    pub place: Placement,
}

impl Class {
    /// Returns the class of tasks with a spec.
    pub fn of(spec: &Spec) -> Self {
        let handler = match &spec.kind {
            Kind::Handler { name } => Some(name.clone()),
            Kind::Square | Kind::Sleep | Kind::Exec { .. } | Kind::Shell { .. } => None,
        };
        Self { allows: Allows::needed_by(&spec.kind), handler, place: spec.place.clone() }
    }
}

/// The classes of the batches that are there, by number and by what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classes {
    /// With how many batches have each.
    known: BTreeMap<ClassId, (Arc<Class>, u32)>,
    numbers: BTreeMap<Arc<Class>, ClassId>,
    next: u32,
}

impl Classes {
    /// Returns the number of a class, which one more batch has.
    pub fn join(&mut self, class: Class) -> ClassId {
        if let Some(id) = self.numbers.get(&class).copied() {
            if let Some((_, users)) = self.known.get_mut(&id) {
                *users += 1;
            }
            return id;
        }
        self.next += 1;
        let (id, class) = (ClassId(self.next), Arc::new(class));
        self.numbers.insert(class.clone(), id);
        self.known.insert(id, (class, 1));
        id
    }

    /// Takes note that one batch fewer has it.
    pub fn leave(&mut self, id: ClassId) {
        let Some((class, users)) = self.known.get_mut(&id) else { return };
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(class);
            self.known.remove(&id);
        }
    }

    /// Returns a class that some batch has.
    pub fn get(&self, id: ClassId) -> &Class {
        &self.known.get(&id).expect("a batch's class stays as long as the batch").0
    }
}

/// What a session offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Profile {
    /// Which kinds its policy lets run.
    pub allows: Allows,
    /// Its handlers.
    pub handlers: Vec<Offer>,
    /// What it says of itself.
    pub labels: Vec<Label>,
    /// What it has beside slots.
    pub resources: Vec<Need>,
    /// Its slots.
    pub slots: PerLane,
}

/// Why a profile does not take a class; the first thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Its policy does not allow the kind.
    Policy,
    /// It has no such handler.
    Handler,
    /// It lacks a label.
    Label(Label),
    /// It has too little of something, slots among it: so much.
    Need(Need, u64),
    /// It has no slot of the lane.
    Lane(Lane),
}

impl Profile {
    /// Returns the lane in which it takes a class.
    ///
    /// # Errors
    /// Says what it lacks.
    pub fn takes(&self, class: &Class) -> Result<Lane, Miss> {
        let lane = match &class.handler {
            None => class.place.lane.unwrap_or_default(),
            Some(name) => {
                let offer = self.handlers.iter().find(|offer| offer.name == *name);
                class.place.lane.unwrap_or(offer.ok_or(Miss::Handler)?.lane)
            }
        };
        if !self.allows.has(class.allows) {
            return Err(Miss::Policy);
        }
        if let Some(label) = class.place.on.iter().find(|label| !self.labels.contains(label)) {
            return Err(Miss::Label(label.clone()));
        }
        for need in &class.place.needs {
            let has = self.amount(&need.name);
            if has < need.amount {
                return Err(Miss::Need(need.clone(), has));
            }
        }
        if self.slots.of(lane) == 0 { Err(Miss::Lane(lane)) } else { Ok(lane) }
    }

    /// Returns how much it has of something.
    pub fn amount(&self, name: &Name) -> u64 {
        if name.as_str() == "cpu" {
            return u64::from(self.slots.cpu);
        }
        let has = self.resources.iter().find(|has| has.name == *name);
        has.map_or(0, |has| has.amount)
    }
}

/// What a session's leases take of what it offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Slots' worth of tasks, running and waiting on the worker together.
    pub slots: PerLane,
    /// Of what slots do not count, by name.
    beside: BTreeMap<Name, u64>,
}

impl Used {
    /// Adds `count` tasks of a class in a lane.
    pub fn add(&mut self, class: &Class, lane: Lane, count: u64) {
        let slots = self.slots.of_mut(lane);
        *slots = slots.saturating_add(worth(class, lane, count));
        for need in class.place.beside_slots() {
            *self.beside.entry(need.name.clone()).or_default() += need.amount * count;
        }
    }

    /// Takes them away again.
    pub fn sub(&mut self, class: &Class, lane: Lane, count: u64) {
        let slots = self.slots.of_mut(lane);
        *slots = slots.saturating_sub(worth(class, lane, count));
        for need in class.place.beside_slots() {
            if let Some(used) = self.beside.get_mut(&need.name) {
                *used = used.saturating_sub(need.amount * count);
            }
        }
    }

    /// Returns how many more tasks of a class fit, when `hold` slots' worth may be held.
    pub fn room(&self, profile: &Profile, hold: PerLane, class: &Class, lane: Lane) -> u64 {
        let slots = if lane == Lane::Cpu { class.place.slots() } else { 1 };
        let left = hold.of(lane).saturating_sub(self.slots.of(lane));
        // A task of many slots goes to a worker that holds less than that ahead too: it waits
        // there until they are free, and nothing overtakes it.
        let by_slots = if left > 0 { u64::from(left / slots).max(1) } else { 0 };
        let beside = class.place.beside_slots().map(|need| {
            let used = self.beside.get(&need.name).copied().unwrap_or(0);
            profile.amount(&need.name).saturating_sub(used) / need.amount.max(1)
        });
        beside.fold(by_slots, u64::min)
    }
}

fn worth(class: &Class, lane: Lane, count: u64) -> u32 {
    let slots = if lane == Lane::Cpu { class.place.slots() } else { 1 };
    u32::try_from(count.saturating_mul(slots.into())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(needs: &[&str], on: &[&str]) -> Class {
        let mut spec = Spec::of(Kind::Square);
        spec.place.needs = needs.iter().map(|text| Need::parse(text).unwrap()).collect();
        spec.place.on = on.iter().map(|text| Label::parse(text).unwrap()).collect();
        Class::of(&spec)
    }

    fn profile() -> Profile {
        Profile {
            allows: Allows::INSIDE,
            labels: vec![Label::parse("zone=eu").unwrap()],
            resources: vec![Need::parse("gpu=2").unwrap()],
            slots: PerLane { cpu: 4, io: 8 },
            ..Profile::default()
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |class: &Class, expected: Result<Lane, Miss>| {
            assert_eq!(profile().takes(class), expected);
        };
        check(&class(&[], &[]), Ok(Lane::Cpu));
        check(&class(&["cpu=4", "gpu=2"], &["zone=eu"]), Ok(Lane::Cpu));
        let need = |text| Need::parse(text).unwrap();
        check(&class(&["cpu=5"], &[]), Err(Miss::Need(need("cpu=5"), 4)));
        check(&class(&["gpu=3"], &[]), Err(Miss::Need(need("gpu=3"), 2)));
        check(&class(&["tpu=1"], &[]), Err(Miss::Need(need("tpu=1"), 0)));
        let us = Label::parse("zone=us").unwrap();
        check(&class(&[], &["zone=us"]), Err(Miss::Label(us)));
        let handler = Some(Name::from_lossy("x"));
        check(&Class { handler, ..class(&[], &[]) }, Err(Miss::Handler));
        check(&Class { allows: Allows::SHELL, ..class(&[], &[]) }, Err(Miss::Policy));
    }

    #[test]
    fn room_is_what_nothing_holds() {
        let (profile, hold) = (profile(), PerLane { cpu: 6, io: 8 });
        let (plain, two) = (class(&[], &[]), class(&["cpu=2", "gpu=1"], &[]));
        let mut used = Used::default();
        let room = |used: &Used, class: &Class| used.room(&profile, hold, class, Lane::Cpu);
        assert_eq!((room(&used, &plain), room(&used, &two)), (6, 2));
        used.add(&two, Lane::Cpu, 1);
        assert_eq!((room(&used, &plain), room(&used, &two)), (4, 1));
        used.add(&plain, Lane::Cpu, 3);
        assert_eq!((room(&used, &plain), room(&used, &two)), (1, 1));
        used.add(&plain, Lane::Cpu, 1);
        assert_eq!((room(&used, &plain), room(&used, &two)), (0, 0));
        used.sub(&plain, Lane::Cpu, 4);
        used.sub(&two, Lane::Cpu, 1);
        assert_eq!(used.slots, PerLane::default());
        assert_eq!(room(&used, &two), 2);
    }

    #[test]
    fn classes_go_with_their_last_batch() {
        let mut classes = Classes::default();
        let (a, b) = (classes.join(class(&[], &[])), classes.join(class(&["gpu=1"], &[])));
        assert_eq!(classes.join(class(&[], &[])), a);
        assert_ne!(a, b);
        classes.leave(a);
        assert_eq!(classes.get(a), &class(&[], &[]));
        classes.leave(a);
        assert_ne!(classes.join(class(&[], &[])), a, "numbers are not reused");
    }
}
