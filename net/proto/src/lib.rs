//! The words that all of ganger's crates share. Nothing here knows a socket, a clock, a disk or a
//! terminal.
//!
//! Glossary (one word per thing, everywhere):
//!
//! | word | meaning |
//! | --- | --- |
//! | task | what someone wants done: a kind, arguments, options; has an integer id |
//! | batch | tasks submitted together; has a name, progress, an id `b12` |
//! | kind | what runs: `square`, `sleep`, `exec` (argument vector), `shell` (one string), `handler:NAME` |
//! | queue | named order of tasks; can be paused; `default` exists |
//! | worker | a process with slots, one certificate, one name |
//! | slot, lane | room for one running task; lanes `cpu` and `io` |
//! | handler | a warm process of a worker's own, kept from task to task |
//! | lease | the right of one worker session to run one attempt; its id fences late answers |
//! | attempt | one run of a task, numbered from 1 |
//! | outcome | how an attempt ended |
//! | failed task | out of attempts; kept, can be retried by hand |
//! | drain | finish what is held, take nothing new |
//! | event | something that happened, journaled; the only thing that changes durable state |
//! | effect | something the driver must do after the events are durable |
//! | picture | bounded, self-contained snapshot of what one screen shows |

pub mod args;
pub mod audit;
mod bounds;
pub mod command;
pub mod ends;
pub mod filter;
pub mod follow;
pub mod form;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gang;
pub mod id;
pub mod identity;
pub mod label;
pub mod limits;
pub mod message;
pub mod outcome;
pub mod output;
pub mod picture;
pub mod place;
pub mod sort;
pub mod spec;
pub mod template;
mod terms;
pub mod time;
pub mod why;

pub use args::{ArgList, Args};
pub use command::{Actor, Refusal, Reply, Request, Role, Select};
pub use filter::Filter;
pub use form::ArgForm;
pub use id::{
    BatchId, BlockId, Epoch, Key, LeaseId, Name, NameError, QueueName, SessionId, SpecId, TaskId,
    WorkerId, WorkerName,
};
pub use label::Label;
pub use outcome::{Ended, Outcome, Usage};
pub use picture::{Picture, TaskState, Watch};
pub use place::{Lane, PerLane, Placement};
pub use spec::{Backoff, BatchOptions, Cwd, Kind, Spec};
pub use template::Template;
pub use time::WallMs;
