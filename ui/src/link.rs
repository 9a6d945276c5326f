//! The screen's only way to a master: messages in, messages out. The program that embeds the screen
//! carries them over a connection, and keeps dialling when it is lost.

use ganger_proto::follow::Followed;
use ganger_proto::{Actor, Name, Picture, Refusal, Reply, Request, TaskId, Watch};
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
    /// Output of an attempt that is followed, or why there is none: then nothing more comes.
    Followed {
        /// The tag it was asked with.
        tag: u64,
        /// What came.
        result: Result<Followed, Refusal>,
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
    /// Follow a task's output until all has come, the connection is lost, or [`Self::Unfollow`].
    Follow {
        /// Unique among the screen's open requests and followed outputs.
        tag: u64,
        /// The task.
        task: TaskId,
        /// One attempt, from 1; the newest one and those after it when not said.
        attempt: Option<u32>,
    },
    /// Follow that output no more.
    Unfollow {
        /// The tag it was asked with.
        tag: u64,
    },
    /// Dial again now.
    RetryNow,
}
