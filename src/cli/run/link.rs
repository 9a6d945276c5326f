//! The connection of a run: the same for all who ask, dialled again when it is lost. Repeats what
//! had no answer; so it is only for requests that may be repeated.

use std::time::Duration;

use ganger_net::client::{Backoff, CallError, Caller};
use ganger_proto::picture::BatchRow;
use ganger_proto::{Refusal, Reply, Request};
use tokio::sync::Mutex;

use super::super::error::{CliError, Result, is_final};
use super::super::place::Place;
use super::super::{out, reach, text};

/// How often a lost master is dialled before that is an error; half a minute, about.
const DIALS_MAX: u32 = 16;
/// How often a busy master is asked again, and how long it may make us wait each time.
const BUSY_TRIES_MAX: u32 = 20;
const BUSY_MS_MAX: u64 = 5_000;

/// The connection.
pub(crate) struct Link {
    place: Place,
    /// Held while it is dialled, so that one dials and the others wait for it.
    current: Mutex<Connection>,
}

/// A connection and which one it is.
#[derive(Clone)]
pub(crate) struct Connection {
    /// Counts them from 1.
    pub(crate) number: u64,
    /// The connection.
    pub(crate) caller: Caller,
}

/// What came of one call on one connection.
pub(crate) enum Answer {
    /// The reply.
    Reply(Box<Reply>),
    /// The connection was lost; there is another one.
    Again,
}

impl Link {
    /// Connects, starting the home's master where that may be.
    ///
    /// # Errors
    /// When no master can be reached.
    pub(crate) async fn open(place: &Place) -> Result<Self> {
        let caller = reach::connect_or_start(place).await?;
        let current = Mutex::new(Connection { number: 1, caller });
        Ok(Self { place: place.clone(), current })
    }

    /// Returns the connection as it is.
    pub(crate) async fn current(&self) -> Connection {
        self.current.lock().await.clone()
    }

    /// Asks until there is a reply.
    ///
    /// # Errors
    /// When the master refuses, or stays away.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply> {
        loop {
            let connection = self.current().await;
            match self.ask(&connection, request.clone(), |_| {}).await? {
                Answer::Reply(reply) => return Ok(*reply),
                Answer::Again => {}
            }
        }
    }

    /// Asks once on a connection.
    ///
    /// # Errors
    /// When the master refuses, or stays away.
    pub(crate) async fn ask(
        &self,
        connection: &Connection,
        request: Request,
        mut progress: impl FnMut(BatchRow) + Send,
    ) -> Result<Answer> {
        let mut tries = 0;
        loop {
            match connection.caller.call_with_progress(request.clone(), &mut progress).await {
                Ok(reply) => return Ok(Answer::Reply(Box::new(reply))),
                Err(CallError::Refused(Refusal::Busy { retry_after_ms }))
                    if tries < BUSY_TRIES_MAX =>
                {
                    tries += 1;
                    let wait = retry_after_ms.clamp(10, BUSY_MS_MAX);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                Err(error) => return self.after(connection, error).await,
            }
        }
    }

    /// Says how it goes on after a call that had no reply: with another connection, or not at all.
    ///
    /// # Errors
    /// When the master refused, or stays away.
    pub(crate) async fn after(&self, connection: &Connection, error: CallError) -> Result<Answer> {
        if !matches!(error, CallError::Lost(_)) || is_final(&error) {
            return Err(error.into());
        }
        self.again(connection.number, &error).await?;
        Ok(Answer::Again)
    }

    /// Dials again, unless another one who lost the same connection has.
    async fn again(&self, lost: u64, error: &CallError) -> Result<()> {
        let mut current = self.current.lock().await;
        if current.number != lost {
            return Ok(());
        }
        out::note(&format!("ganger: {}; dialling again", text::line(&error.to_string())));
        let mut backoff = Backoff::default();
        let mut last = None;
        for _ in 0..DIALS_MAX {
            tokio::time::sleep(backoff.next_wait()).await;
            match reach::connect(&self.place).await {
                Ok(caller) => {
                    *current = Connection { number: lost + 1, caller };
                    out::note("ganger: connected again");
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| CliError::unreachable("the master stays away")))
    }
}
