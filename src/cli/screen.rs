//! The bridge between the screen and a master: carries watches, requests, replies and pictures, and
//! dials again when the connection is lost. What is shown is `ganger-ui`'s affair.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use ganger_net::CloseCode;
use ganger_net::client::{Backoff, CallError, Caller, DialError};
use ganger_proto::{Refusal, Request, Watch};
use ganger_ui::link::{Connection, Inbound, Link, Outbound};
use ganger_ui::{Clipboard, Glyphs, Options, ThemeChoice};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config;

use super::error::{CliError, Result, is_final, with_causes};
use super::place::Place;
use super::reach::{self, Found, Route};
use super::{out, text};

/// Messages that wait for the screen. When it is full the bridge waits; pictures are replaced at
/// their source meanwhile.
const INBOUND_MAX: usize = 64;
/// Messages that wait for the bridge. When it is full the screen's sender waits.
const OUTBOUND_MAX: usize = 64;
/// Requests that wait for their reply; further ones wait in the queue of messages.
const REQUESTS_MAX: usize = 64;

/// Tells whether a screen can be drawn on standard output.
pub(crate) fn is_possible() -> bool {
    let dumb = config::process_env("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb
}

/// Opens the screen; starts a master first when none runs.
pub(crate) async fn run(place: Place) -> Result<()> {
    // Refusals and missing masters are told on the plain terminal, before anything is drawn.
    let caller = reach::connect_or_start(&place).await?;
    // Bounds as said above.
    let (to_screen, inbound) = mpsc::channel(INBOUND_MAX);
    let (outbound, from_screen) = mpsc::channel(OUTBOUND_MAX);
    let options = options(&place);
    let bridge = Bridge { place, to_screen, from_screen, watch: None };
    let bridge = tokio::spawn(bridge.run(caller));
    let shown = ganger_ui::run(Link { inbound, outbound }, options).await;
    // The screen is gone and its queues with it; whatever the bridge still does serves nobody.
    bridge.abort();
    shown.map_err(|error| CliError::failed(with_causes(&error)))?;
    out::note("the master keeps running; `ganger` to return, `ganger stop` to stop it");
    Ok(())
}

/// Reads the screen's looks off the environment: `NO_COLOR` (no-color.org), `TMUX`, the locale.
fn options(place: &Place) -> Options {
    let set = |name: &str| config::process_env(name).is_some_and(|value| !value.is_empty());
    let theme = if set("NO_COLOR") { "mono" } else { "ansi16" };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| config::process_env(name).filter(|value| !value.is_empty()));
    // Without a locale most terminals of today show UTF-8; one that names another charset does not.
    let utf8 = locale.is_none_or(|value| {
        let value = value.to_string_lossy().to_ascii_lowercase();
        value.contains("utf") || matches!(value.as_str(), "c" | "posix")
    });
    let clock = Clock::start();
    Options {
        theme: ThemeChoice::Named(theme.to_owned()),
        glyphs: if utf8 { Glyphs::Unicode } else { Glyphs::Ascii },
        home: place.home.display().to_string(),
        utc_offset_min: None,
        clipboard: if set("TMUX") { Clipboard::Tmux } else { Clipboard::Terminal },
        clock: Arc::new(move || {
            let now = clock.now();
            (now.mono_ms, now.wall)
        }),
        key_source: Box::new(|| {
            u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..))
        }),
    }
}

struct Bridge {
    place: Place,
    to_screen: mpsc::Sender<Inbound>,
    from_screen: mpsc::Receiver<Outbound>,
    /// What the screen shows; asked for again after each dial.
    watch: Option<Watch>,
}

/// Why a connection is not used any more.
enum End {
    /// The person left the screen.
    ScreenGone,
    /// The connection was lost; dialling again may help.
    Lost(String),
    /// Dialling again cannot help.
    Refused(String),
}

impl Bridge {
    async fn run(mut self, first: Caller) {
        let mut caller = first;
        loop {
            let reason = match self.carry(caller).await {
                End::ScreenGone => return,
                End::Refused(sentence) => return self.refused(sentence).await,
                End::Lost(reason) => reason,
            };
            caller = match self.redial(reason).await {
                Ok(caller) => caller,
                Err(End::Refused(sentence)) => return self.refused(sentence).await,
                Err(End::ScreenGone | End::Lost(_)) => return,
            };
        }
    }

    /// Carries messages both ways until the connection or the screen ends.
    async fn carry(&mut self, caller: Caller) -> End {
        if self.to_screen.send(Inbound::Connected(connection(&caller))).await.is_err() {
            return End::ScreenGone;
        }
        if let Some(watch) = self.watch.clone()
            && let Err(error) = caller.watch(watch).await
        {
            return end_of(error);
        }
        let mut pictures = tokio::spawn(carry_pictures(caller.clone(), self.to_screen.clone()));
        let mut requests = JoinSet::new();
        let end = loop {
            tokio::select! {
                ended = &mut pictures => {
                    break ended.unwrap_or_else(|_| End::Lost("the reader of pictures ended".into()));
                }
                Some(_) = requests.join_next(), if !requests.is_empty() => {}
                message = self.from_screen.recv(), if requests.len() < REQUESTS_MAX => match message {
                    None => break End::ScreenGone,
                    Some(Outbound::RetryNow) => {}
                    Some(Outbound::Watch(watch)) => {
                        self.watch = Some(watch.clone());
                        if let Err(error) = caller.watch(watch).await {
                            break end_of(error);
                        }
                    }
                    Some(Outbound::Request { tag, request }) => {
                        let (caller, to_screen) = (caller.clone(), self.to_screen.clone());
                        requests.spawn(carry_request(caller, to_screen, tag, request));
                    }
                },
            }
        };
        pictures.abort();
        // A master that went silent is not waited for: closing answers the open calls.
        caller.session().close(CloseCode::Done, "dialling again");
        // Requests without a reply get one that says so, each from its own task.
        while requests.join_next().await.is_some() {}
        end
    }

    /// Dials until a master answers, refuses, or the screen ends.
    async fn redial(&mut self, mut reason: String) -> Result<Caller, End> {
        let mut backoff = Backoff::default();
        for tries in 0.. {
            let wait = backoff.next_wait();
            let retry_in_ms = super::as_ms(wait);
            let lost = Inbound::Lost { reason: reason.clone(), tries, retry_in_ms };
            if self.to_screen.send(lost).await.is_err() {
                return Err(End::ScreenGone);
            }
            self.pause(wait).await?;
            // The master may have come back at another address, with a renewed identity.
            let route = match reach::find(&self.place) {
                Ok(Found::Routes(routes)) => routes.into_iter().next(),
                Ok(Found::NotRunning) => None,
                Err(error) => {
                    reason = error.sentence;
                    continue;
                }
            };
            reason = match route {
                None => {
                    "the master does not run; `ganger` in another terminal starts it".to_owned()
                }
                Some(route) => match dial(&route).await {
                    Ok(caller) => return Ok(caller),
                    Err(error) if error.is_final() => {
                        return Err(End::Refused(text::line(&error.to_string())));
                    }
                    Err(error) => text::line(&error.to_string()),
                },
            };
        }
        Err(End::Lost(reason))
    }

    /// Waits before the next dial, less when the person says so; requests meanwhile are refused.
    async fn pause(&mut self, wait: Duration) -> Result<(), End> {
        let timer = tokio::time::sleep(wait);
        tokio::pin!(timer);
        loop {
            tokio::select! {
                () = &mut timer => return Ok(()),
                message = self.from_screen.recv() => match message {
                    None => return Err(End::ScreenGone),
                    Some(Outbound::RetryNow) => return Ok(()),
                    Some(Outbound::Watch(watch)) => self.watch = Some(watch),
                    Some(Outbound::Request { tag, .. }) => {
                        let reply = Inbound::Reply { tag, result: Err(not_sent()) };
                        self.to_screen.send(reply).await.map_err(|_| End::ScreenGone)?;
                    }
                },
            }
        }
    }

    async fn refused(&self, sentence: String) {
        // Fails only when the screen is gone, and then nobody wants to know.
        self.to_screen.send(Inbound::Refused { sentence }).await.ok();
    }
}

async fn dial(route: &Route) -> Result<Caller, DialError> {
    Caller::connect(&route.identity, &route.addresses).await
}

async fn carry_pictures(caller: Caller, to_screen: mpsc::Sender<Inbound>) -> End {
    loop {
        match caller.next_picture().await {
            Ok(picture) => {
                if to_screen.send(Inbound::Picture(picture)).await.is_err() {
                    return End::ScreenGone;
                }
            }
            Err(error) => return end_of(error),
        }
    }
}

async fn carry_request(
    caller: Caller,
    to_screen: mpsc::Sender<Inbound>,
    tag: u64,
    request: Request,
) {
    let result = match caller.call(request).await {
        Ok(reply) => Ok(reply),
        Err(CallError::Refused(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::State(
            "the connection was lost before the answer; what became of this is not known".into(),
        )),
    };
    // Fails only when the screen is gone.
    to_screen.send(Inbound::Reply { tag, result }).await.ok();
}

fn not_sent() -> Refusal {
    Refusal::State("there is no connection to the master; nothing was sent".into())
}

fn end_of(error: CallError) -> End {
    let sentence = text::line(&error.to_string());
    if is_final(&error) { End::Refused(sentence) } else { End::Lost(sentence) }
}

fn connection(caller: &Caller) -> Connection {
    let (welcome, session) = (caller.welcome(), caller.session());
    Connection {
        you: welcome.you.clone(),
        cluster: welcome.cluster.clone(),
        address: session.remote().to_string(),
        version: welcome.version.clone(),
        rtt_us: u64::try_from(session.rtt().as_micros()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use ganger_net::session::Closed;

    use super::super::out::Form;
    use super::super::place::Starting;
    use super::*;

    #[test]
    fn only_final_closes_end_the_dialling() {
        let closed = |code| CallError::Lost(Closed { code, sentence: "over".into() });
        assert!(matches!(end_of(closed(None)), End::Lost(_)));
        assert!(matches!(end_of(closed(Some(CloseCode::Shutdown))), End::Lost(_)));
        assert!(matches!(end_of(closed(Some(CloseCode::Revoked))), End::Refused(_)));
    }

    #[tokio::test]
    async fn without_a_connection_requests_are_refused_and_watches_kept() {
        let (to_screen, mut inbound) = mpsc::channel(8);
        let (outbound, from_screen) = mpsc::channel(8);
        let place = Place {
            home: "/nowhere".into(),
            master: None,
            form: Form::Text,
            starting: Starting::Forbidden,
        };
        let mut bridge = Bridge { place, to_screen, from_screen, watch: None };
        outbound.send(Outbound::Watch(Watch::default())).await.unwrap();
        let request = Outbound::Request { tag: 5, request: Request::Status };
        outbound.send(request).await.unwrap();
        outbound.send(Outbound::RetryNow).await.unwrap();
        assert!(bridge.pause(Duration::MAX).await.is_ok());
        assert_eq!(bridge.watch, Some(Watch::default()));
        let refused = inbound.recv().await.unwrap();
        assert_eq!(refused, Inbound::Reply { tag: 5, result: Err(not_sent()) });
        drop(outbound);
        assert!(matches!(bridge.pause(Duration::MAX).await, Err(End::ScreenGone)));
    }
}
