//! The bridge between the screen and a master: carries watches, requests, replies, pictures and
//! followed output, and dials again when the connection is lost. What is shown is `ganger-ui`'s
//! affair.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use ganger_net::CloseCode;
use ganger_net::client::{Backoff, CallError, Caller, DialError};
use ganger_proto::{Refusal, Request, TaskId, Watch};
use ganger_ui::link::{Connection, Inbound, Link, Outbound};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::config;
use ganger_ui as ui;

use super::error::{CliError, Result, is_final, with_causes};
use super::looks::Looks;
use super::place::Place;
use super::reach::{self, Found, Route};
use super::{ScreenFlags, out, text};

/// Messages that wait for the screen. When it is full the bridge waits; pictures are replaced at
/// their source meanwhile.
const INBOUND_MAX: usize = 64;
/// Messages that wait for the bridge. When it is full the screen's sender waits.
const OUTBOUND_MAX: usize = 64;
/// How long followed output waits before it looks again whether the screen has caught up.
const FOLLOWED_PAUSE: Duration = Duration::from_millis(5);
/// Requests that wait for their reply; further ones wait in the queue of messages.
const REQUESTS_MAX: usize = 64;

/// Tells whether a screen can be drawn on standard output.
pub(crate) fn is_possible() -> bool {
    let dumb = config::process_env("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb
}

/// Opens the screen; starts a master first when none runs.
pub(crate) async fn run(place: Place, flags: ScreenFlags) -> Result<()> {
    // A mistake in a setting is told before a master is started for it.
    let chosen = Looks::choose(&place, flags)?;
    // Refusals and missing masters are told on the plain terminal, before anything is drawn.
    let caller = reach::connect_or_start(&place).await?;
    // Bounds as said above.
    let (to_screen, inbound) = mpsc::channel(INBOUND_MAX);
    let (outbound, from_screen) = mpsc::channel(OUTBOUND_MAX);
    let options = options(&place, chosen, local_offset_min().await);
    let bridge = Bridge { place, to_screen, from_screen, watch: None };
    let bridge = tokio::spawn(bridge.run(caller));
    let shown = ui::run(Link { inbound, outbound }, options).await;
    // The screen is gone and its queues with it; whatever the bridge still does serves nobody.
    bridge.abort();
    match shown.map_err(|error| CliError::failed(with_causes(&error)))? {
        ui::Exit::Left => {
            out::note("the master keeps running; `ganger` to return, `ganger stop` to stop it");
        }
        ui::Exit::Ended | ui::Exit::LinkClosed => {}
    }
    Ok(())
}

/// Adds signs and the way to copy, by what the environment says of the terminal.
fn options(place: &Place, chosen: Looks, utc_offset_min: Option<i32>) -> ui::Options {
    let is_set = |name: &str| config::process_env(name).is_some();
    // The first of these that is set decides, as setlocale(3) has it.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(config::process_env);
    let clock = Clock::start();
    ui::Options {
        theme: chosen.theme,
        themes: chosen.themes,
        depth: chosen.depth,
        keymap: chosen.keymap,
        access: chosen.access,
        kept: Some(place.home.join("screen.toml")),
        glyphs: if speaks_utf8(locale.as_deref()) {
            ui::Glyphs::Unicode
        } else {
            ui::Glyphs::Ascii
        },
        home: place.home.display().to_string(),
        utc_offset_min,
        notify: chosen.notify,
        clipboard: if is_set("TMUX") { ui::Clipboard::Tmux } else { ui::Clipboard::Terminal },
        clock: Arc::new(move || {
            let now = clock.now();
            (now.mono_ms, now.wall)
        }),
        key_source: Box::new(random_u128),
    }
}

/// Terminals of today show UTF-8 also where no locale says so, as in a bare container; tmux then
/// shows an underscore for each sign, and another charset is to be believed.
fn speaks_utf8(locale: Option<&OsStr>) -> bool {
    let locale = locale.map(|text| text.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match locale.as_str() {
        "" | "c" | "posix" => config::process_env("TMUX").is_none(),
        named => named.contains("utf-8") || named.contains("utf8"),
    }
}

fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    match ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes) {
        Ok(()) => u128::from_be_bytes(bytes),
        // Keys are no secrets, they only must not meet.
        Err(_) => fastrand::u128(..),
    }
}

/// Asks `date` how far the local time is ahead of UTC: reading the zone's rules takes a crate, and
/// the screen can do without.
async fn local_offset_min() -> Option<i32> {
    let asked = tokio::process::Command::new("date").arg("+%z").output();
    let answer = tokio::time::timeout(Duration::from_secs(1), asked).await.ok()?.ok()?;
    parse_offset(std::str::from_utf8(&answer.stdout).ok()?.trim())
}

fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (None, Some(digits)) => (-1, digits),
        (None, None) => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (i32::from(hours) * 60 + i32::from(minutes)))
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
        // The screen asks for them again on the next connection.
        let mut follows: BTreeMap<u64, Following> = BTreeMap::new();
        let end = loop {
            follows.retain(|_, follow| !follow.0.is_finished());
            let has_room = requests.len() < REQUESTS_MAX;
            let message = tokio::select! {
                ended = &mut pictures => {
                    let gone = |_| End::Lost("the reader of pictures ended".into());
                    break ended.unwrap_or_else(gone);
                }
                Some(_) = requests.join_next(), if !requests.is_empty() => continue,
                message = self.from_screen.recv(), if has_room => message,
            };
            match message {
                None => break End::ScreenGone,
                Some(Outbound::RetryNow) => {}
                Some(Outbound::Follow { tag, task, attempt }) => {
                    let (caller, to_screen) = (caller.clone(), self.to_screen.clone());
                    let followed = carry_followed(caller, to_screen, (tag, task, attempt));
                    follows.insert(tag, Following(tokio::spawn(followed)));
                }
                Some(Outbound::Unfollow { tag }) => {
                    follows.remove(&tag);
                }
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
            }
        };
        pictures.abort();
        drop(follows);
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
                    Some(Outbound::Follow { .. } | Outbound::Unfollow { .. }) => {}
                    Some(Outbound::Watch(watch)) => self.watch = Some(watch),
                    Some(Outbound::Request { tag, .. }) => {
                        let reply = Inbound::Reply { tag, result: Err(not_sent()) };
                        self.to_screen.send(reply).await.map_err(|_| End::ScreenGone)?;
                    }
                },
            }
        }
    }

    /// Says that dialling again cannot help, and stays until the person has read it and left.
    async fn refused(mut self, sentence: String) {
        let told = self.to_screen.send(Inbound::Refused { sentence }).await;
        while told.is_ok() && self.from_screen.recv().await.is_some() {}
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

/// A task that ends with what holds it.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries one followed output. It waits while half of the screen's queue is taken: pictures and
/// replies find room then, however much is written.
async fn carry_followed(
    caller: Caller,
    to_screen: mpsc::Sender<Inbound>,
    (tag, task, attempt): (u64, TaskId, Option<u32>),
) {
    let mut follow = match caller.follow(task, attempt).await {
        Ok(follow) => follow,
        Err(CallError::Refused(refusal)) => {
            // Fails only when the screen is gone.
            to_screen.send(Inbound::Followed { tag, result: Err(refusal) }).await.ok();
            return;
        }
        // That the connection is lost is told once, for all that went over it.
        Err(_) => return,
    };
    while let Some(came) = follow.next().await {
        let result = match came {
            Ok(followed) => Ok(followed),
            Err(CallError::Refused(refusal)) => Err(refusal),
            Err(_) => return,
        };
        while to_screen.capacity() < INBOUND_MAX / 2 && !to_screen.is_closed() {
            tokio::time::sleep(FOLLOWED_PAUSE).await;
        }
        if to_screen.send(Inbound::Followed { tag, result }).await.is_err() {
            return;
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

    #[test]
    fn the_environment_tells_signs_and_offset() {
        for (locale, expected) in
            [(Some("de_DE.UTF-8"), true), (Some("C.utf8"), true), (Some("de_DE"), false)]
        {
            assert_eq!(speaks_utf8(locale.map(OsStr::new)), expected, "{locale:?}");
        }
        for (text, minutes) in [
            ("+0000", Some(0)),
            ("+0530", Some(330)),
            ("-0800", Some(-480)),
            ("", None),
            ("UTC", None),
        ] {
            assert_eq!(parse_offset(text), minutes, "{text}");
        }
        assert_ne!(random_u128(), random_u128());
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
