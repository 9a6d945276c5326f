//! Whom a master knows: one of each state and role.

use ganger_proto::gang::CertificateFacts;
use ganger_proto::identity::{IdentityRow, IdentityState};
use ganger_proto::{Actor, Role, WallMs};

use super::{NOW, name};

pub(crate) fn identities() -> Vec<IdentityRow> {
    use IdentityState::{Expired, Good, Revoked};
    let days = |days: i64| WallMs(NOW.0.saturating_add_signed(days * 86_400_000));
    let row = |role, who: &str, state, (issued, ends), connections| IdentityRow {
        actor: Actor { role, name: name(who), admin: who == "admin" },
        state,
        certificate: CertificateFacts {
            serial: "4f02c91a77de0b3391c2a5e8d0147b6c".to_owned(),
            fingerprint: "9b1f".repeat(16),
            issued: days(issued),
            ends: days(ends),
            revoked: state == Revoked,
        },
        authority: 1,
        since: days(issued - 40),
        from: if who == "admin" { String::new() } else { "10.0.4.17".to_owned() },
        connections,
    };
    vec![
        row(Role::Worker, "alpha", Good, (-20, 70), 1),
        row(Role::Worker, "bravo-with-a-name-that-is-long", Good, (-88, 2), 1),
        row(Role::Worker, "gpu-7", Expired, (-100, -10), 0),
        row(Role::Worker, "stolen", Revoked, (-30, 60), 0),
        row(Role::Viewer, "wall", Good, (-3, 27), 2),
        row(Role::Operator, "ada", Good, (-12, 18), 0),
        row(Role::Operator, "admin", Good, (0, 30), 1),
    ]
}
