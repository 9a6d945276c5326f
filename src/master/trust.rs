//! Matters of trust that clients ask for: invites, revocations, identities, the authority, the
//! local worker. What they mean is decided in `ganger-net`.

use ganger_net::CloseCode;
use ganger_proto::identity::Rotation;
use ganger_proto::limits::PAGE_IDENTITIES_MAX;
use ganger_proto::message::ToWorker;
use ganger_proto::{Actor, Name, Refusal, Reply, Request, Role};

use super::Master;
use super::outgoing::put;
use super::status::refused;

/// Time in which all workers renew, for each of them, in milliseconds: a certificate is a signature
/// and a synced write.
const RENEWAL_MS: u32 = 10;

impl Master {
    /// Does what changes who is trusted, and starts the local worker.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller hands in nothing else")]
    pub(super) fn trust(&mut self, actor: &Actor, request: Request) -> Result<Reply, Refusal> {
        match request {
            Request::Invite(invite) => {
                let made = self.authority.invite(&invite, actor, &self.facts.advertise);
                let made = made.map_err(|error| refused(&error))?;
                tracing::info!(role = %invite.role, by = %actor, "an invite was made");
                let (id, expires) = (made.id, made.expires);
                Ok(Reply::Invited { token: made.token.to_string(), id, expires })
            }
            Request::Revoke { name, role, reason } => {
                let done = self.authority.revoke(role, &name, &reason, actor);
                done.map_err(|error| refused(&error))?;
                self.kick(role, &name);
                if role == Role::Worker {
                    self.engine.note_revoked(self.clock.now(), &name);
                }
                tracing::warn!(%role, %name, by = %actor, "an identity was revoked");
                Ok(Reply::Ok)
            }
            Request::Rotate(step) => self.rotate(actor, step),
            Request::StartLocalWorker { slots } => self.start_local_worker(slots),
            other => Err(Refusal::Invalid(format!("{other:?} is no matter of trust"))),
        }
    }

    /// Takes a step of changing the authority; whoever is connected is told to renew.
    fn rotate(&mut self, by: &Actor, step: Rotation) -> Result<Reply, Refusal> {
        let left = self.authority.rotate(step, by).map_err(|error| refused(&error))?;
        for (role, name) in &left {
            let why = "its certificate's authority is not trusted any more";
            self.server.kick(*role, name, CloseCode::Unknown, why);
        }
        tracing::warn!(?step, %by, left = left.len(), "the authority changes");
        self.renew_admin();
        let workers = u32::try_from(self.workers.count()).unwrap_or(u32::MAX);
        let within_ms = workers.saturating_mul(RENEWAL_MS);
        for link in self.workers.all_welcomed() {
            put(&link.session, &ToWorker::Renew { within_ms });
        }
        Ok(Reply::Authority(self.authority.facts()))
    }

    /// Renews the home's own administrator when it is a day old: its owner may not ask for weeks,
    /// and has no other way in.
    pub(super) fn renew_admin(&self) {
        let own = super::start::admin(&self.facts.home, &self.authority, self.facts.address);
        if let Err(error) = own {
            tracing::error!(%error, "the administrator's certificate could not be renewed");
        }
    }

    /// Lists identities from after one of them.
    pub(super) fn identities(&self, after: Option<&(Role, Name)>, rows: u32) -> Reply {
        let rows = rows.clamp(1, PAGE_IDENTITIES_MAX) as usize;
        let mut rows = self.authority.identities(after, rows);
        for row in &mut rows {
            row.connections = self.server.connections(row.actor.role, &row.actor.name);
        }
        Reply::Identities(rows)
    }
}
