//! The screen's only way to a master: messages in, messages out. The program that embeds the screen
//! carries them over a connection, and keeps dialling when it is lost.

use ganger_proto::{Actor, Name, Picture, Refusal, Reply, Request, Watch};
use tokio::sync::mpsc;

/// Both ends' queues. Inbound is bounded: when it is full the sender waits, except that a picture
/// which was not taken yet may be replaced by the next.
#[derive(Debug)]
pub struct Link {
    /// From the master.
    pub inbound: mpsc::Receiver<Inbound>,
    /// To the master.
    pub outbound: mpsc::Sender<Outbound>,
}

/// What the screen hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Inbound {
    /// A connection is up; watches must be sent again.
    Connected(Connection),
    /// What the watch shows.
    Picture(Box<Picture>),
    /// The answer to a request.
    Reply {
        /// The request's tag.
        tag: u64,
        /// The answer, or why not.
        result: Result<Reply, Refusal>,
    },
    /// The connection is lost; it will be dialled again by itself.
    Lost {
        /// Why, in a sentence.
        reason: String,
        /// How many dials failed since.
        tries: u32,
        /// Milliseconds until the next dial.
        retry_in_ms: u64,
    },
    /// The master refuses this screen; it will not be dialled again.
    Refused {
        /// Why and what to do, in a sentence.
        sentence: String,
    },
}

/// A connection that is up.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Who the master takes this screen for.
    pub you: Actor,
    /// The cluster.
    pub cluster: Name,
    /// The address dialled, for people.
    pub address: String,
    /// The master's release.
    pub version: String,
    /// The round trip, in microseconds.
    pub rtt_us: u64,
}

/// What the screen says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outbound {
    /// Show me this; replaces the previous watch.
    Watch(Watch),
    /// Do this; the reply carries the same tag.
    Request {
        /// Unique among the screen's open requests.
        tag: u64,
        /// What to do.
        request: Request,
    },
    /// Dial again now.
    RetryNow,
}
