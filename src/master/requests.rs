//! What clients send: who may ask, and which room answers. Answers nothing itself.

use ganger_net::CloseCode;
use ganger_proto::message::ClientMessage;
use ganger_proto::{Actor, Refusal, Reply, Request, Watch};

use super::outgoing::Outgoing;
use super::searches::Hunts;
use super::{Master, Phase};
use crate::engine::deed::Deed;
use crate::engine::input::{ClientId, Effect, Input};

impl Master {
    pub(super) fn client_said(&mut self, client: ClientId, message: ClientMessage) {
        match message {
            ClientMessage::Watch(watch) => self.watch(client, watch),
            ClientMessage::Unwatch => self.clients.watch(client, None),
            ClientMessage::Seen { number } => self.clients.seen(client, number),
            ClientMessage::Request { tag, request } => {
                let Some(actor) = self.clients.actor(client) else { return };
                match ganger_net::pki::policy::check(&actor, &request) {
                    Ok(()) if self.is_busy_for(client, &request) => self.busy(client, tag),
                    Ok(()) => self.request(client, tag, actor, request),
                    Err(refusal) => self.refuse(client, tag, refusal),
                }
            }
        }
    }

    /// Pictures show everybody's tasks: who may only see its own gets none, and is told.
    fn watch(&mut self, client: ClientId, watch: Watch) {
        let Some(known) = self.clients.get(client) else { return };
        match ganger_net::pki::policy::may_watch(&known.actor) {
            Ok(()) => self.clients.watch(client, Some(watch)),
            Err(refusal) => known.session.close(CloseCode::Protocol, &refusal.to_string()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest changes no task")]
    fn request(&mut self, client: ClientId, tag: u64, actor: Actor, request: Request) {
        match request {
            Request::Submit(_) if self.phase != Phase::Serving => {
                self.refuse(client, tag, Refusal::Stopping);
            }
            Request::Submit(_) if self.is_in_trouble() => {
                self.refuse(client, tag, Refusal::StorageFull);
            }
            Request::Submit(_)
            | Request::Cancel { .. }
            | Request::Retry { .. }
            | Request::Delete { .. }
            | Request::SetPriority { .. }
            | Request::Pause { .. }
            | Request::Resume { .. }
            | Request::Drain { .. }
            | Request::Undrain { .. }
            | Request::SetSlots { .. } => {
                if Hunts::filter_of(&request).is_some() {
                    return self.hunt(client, tag, actor, request);
                }
                let now = self.clock.now();
                self.engine.handle(now, Input::Asked { client, tag, actor, request });
            }
            Request::Stop { now } => {
                self.did(actor, &request);
                self.phase = if now { Phase::Stopping } else { Phase::Draining };
                self.engine.set_granting(self.grants());
                self.stop_local_worker();
                self.reply(client, tag, Ok(Reply::Ok));
            }
            Request::Invite(_)
            | Request::Revoke { .. }
            | Request::Rotate(_)
            | Request::StartLocalWorker { .. } => {
                let asked = request.clone();
                let result = self.trust(&actor, request);
                if result.is_ok() {
                    self.did(actor, &asked);
                }
                self.reply(client, tag, result);
            }
            other => self.question(client, tag, &actor, other),
        }
    }

    /// Notes for the audit what was done; what the trust log has is not noted twice.
    fn did(&mut self, actor: Actor, request: &Request) {
        if let Some(deed) = Deed::of(request) {
            self.engine.handle(self.clock.now(), Input::Did { actor, deed });
        }
    }

    pub(super) fn reply(&mut self, client: ClientId, tag: u64, result: Result<Reply, Refusal>) {
        self.hold(vec![Outgoing::Effect(Effect::Reply { client, tag, result })]);
    }
}
