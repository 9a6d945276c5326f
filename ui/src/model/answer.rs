//! Whether the rows of a list are those of the filter and order that it asks for at present.
//! Pictures come late: one that answers an earlier question has rows of another list.

use ganger_proto::Filter;
use ganger_proto::picture::Order;

type Question = (Filter, Order);

/// How far a list's question is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    /// The list is not watched.
    #[default]
    Unasked,
    /// Watches from this number on are about it; its rows have not come.
    Awaited { since: u64, asked: Question },
    /// The rows here are its.
    Here { since: u64, asked: Question },
}

impl Answer {
    /// Notes that the watch of that number asks for `now`.
    pub(super) fn ask(&mut self, number: u64, now: Question) {
        match self {
            Self::Awaited { asked, .. } | Self::Here { asked, .. } if *asked == now => {}
            Self::Unasked | Self::Awaited { .. } | Self::Here { .. } => {
                *self = Self::Awaited { since: number, asked: now };
            }
        }
    }

    /// Tells whether a picture that answers this watch has rows for the list.
    pub(super) fn takes(&self, watch: u64) -> bool {
        match self {
            Self::Unasked => false,
            Self::Awaited { since, .. } | Self::Here { since, .. } => watch >= *since,
        }
    }

    /// The rows have come.
    pub(super) fn take(&mut self) {
        if let Self::Awaited { since, asked } = self {
            *self = Self::Here { since: *since, asked: asked.clone() };
        }
    }

    /// Tells whether the rows here answer this.
    pub(super) fn is_of(&self, filter: &Filter, order: Order) -> bool {
        match self {
            Self::Unasked | Self::Awaited { .. } => false,
            Self::Here { asked, .. } => asked.0 == *filter && asked.1 == order,
        }
    }
}
