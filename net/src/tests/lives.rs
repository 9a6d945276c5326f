//! The lives of identities: renewed over live connections, ended at their dates, rejoined, and
//! taken over to another authority without an interruption.

use ganger_proto::identity::{IdentityState, Rotation};

use super::*;
use crate::client::{JoinError, RenewError, join, renew};
use crate::error::CloseCode;
use crate::pki::authority::AuthorityError;
use crate::session::Session;

const DAY_MS: i64 = 86_400_000;

fn now(rig: &Rig) -> WallMs {
    clock(rig.turned_ms.clone())()
}

async fn renewed(rig: &Rig, session: &Session, identity: &ClientIdentity) -> ClientIdentity {
    in_time(renew(session, identity, now(rig))).await.unwrap()
}

fn row(rig: &Rig, who: &str) -> ganger_proto::identity::IdentityRow {
    let rows = rig.authority.identities(None, 100);
    rows.into_iter().find(|row| row.actor.name.as_str() == who).unwrap()
}

#[tokio::test]
async fn an_identity_is_renewed_with_a_new_key_over_its_own_connection() {
    let mut rig = Rig::start();
    for role in Role::ALL {
        rig.turn(0);
        let dir = rig.dir(role.word());
        let token = rig.invite(|invite| invite.role = role);
        let first = join(&token, Some(&name("a")), &dir).await.unwrap();
        let connected = rig.dial(&first).await.unwrap();
        rig.arrival().await;
        // A young certificate is not renewed: nobody fills the disk with them.
        let error = renew(&connected.session, &first, now(&rig)).await.unwrap_err();
        assert!(matches!(error, RenewError::Refused(why) if why.contains("young")), "{error}");
        let life_days = if matches!(role, Role::Worker | Role::Submitter) { 90 } else { 30 };
        let renews_at = i64::try_from(first.renews_at.0 - now(&rig).0).unwrap();
        let (least, most) = (life_days * DAY_MS / 2 - DAY_MS, life_days * DAY_MS * 4 / 5);
        assert!((least..=most).contains(&renews_at), "{role}: {} days", renews_at / DAY_MS);
        rig.turn(renews_at);
        let second = renewed(&rig, &connected.session, &first).await;
        assert_ne!(*second.material.key, *first.material.key, "{role}: the key is new");
        assert_eq!((second.role, second.name.as_str()), (role, "a"));
        assert!(second.certificate_ends > first.certificate_ends);
        assert_eq!(ClientIdentity::load(&dir).unwrap().certificate_ends, second.certificate_ends);
        // Over one connection as often as it takes; that one was opened with the first certificate.
        assert!(rig.dial(&second).await.is_ok());
        rig.arrival().await;
    }
    let words = rig.authority.audit(0, 100);
    assert_eq!(words.iter().filter(|row| row.word == "renewed").count(), 4);
}

#[tokio::test]
async fn a_lost_answer_to_a_renewal_costs_nothing() {
    let mut rig = Rig::start();
    let first = join(&rig.invite(|_| {}), None, &rig.dir("w")).await.unwrap();
    let connected = rig.dial(&first).await.unwrap();
    let serial = rig.arrival().await.peer.serial;
    rig.turn(60 * DAY_MS);
    let key = crate::pki::identity::pending_key(&rig.dir("w")).unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let request = crate::pki::renewal::RenewRequest { csr: csr.der().to_vec() };
    let lost = rig.authority.renew(&serial, &request);
    let entries = rig.authority.audit(0, 100).len();
    let second = renewed(&rig, &connected.session, &first).await;
    let crate::pki::renewal::RenewAnswer::Granted(lost) = lost else { panic!("{lost:?}") };
    assert_eq!(second.material.certificate.to_vec(), lost.certificate);
    assert_eq!(rig.authority.audit(0, 100).len(), entries, "nothing was written");
}

#[tokio::test]
async fn a_renewed_session_outlives_the_certificate_it_began_with() {
    let mut rig = Rig::start();
    let first = join(&rig.invite(|_| {}), None, &rig.dir("w")).await.unwrap();
    let other = join(&rig.invite(|_| {}), None, &rig.dir("o")).await.unwrap();
    // The deadline of a connection is looked at as it is opened, and then when it comes.
    rig.turn(90 * DAY_MS - 3_000);
    let mut kept = rig.dial(&first).await.unwrap();
    let arrival = rig.arrival().await;
    renewed(&rig, &kept.session, &first).await;
    let ends = rig.dial(&other).await.unwrap();
    let _ends = rig.arrival().await;
    rig.turn(90 * DAY_MS + 3_000);
    let closed = in_time(ends.session.closed()).await;
    assert_eq!(closed.code, Some(CloseCode::Expired), "{closed}");
    // That of the one which was opened before has come too.
    arrival.session.outbox.send(encode(&7_u32).unwrap()).await.unwrap();
    assert_eq!(in_time(kept.inbox.next::<u32>()).await.unwrap(), 7);
    assert!(rig.dial(&first).await.unwrap_err().to_string().contains("is not good"));
    assert!(rig.dial(&ClientIdentity::load(&rig.dir("w")).unwrap()).await.is_ok());
    rig.arrival().await;
}

#[tokio::test]
async fn who_was_revoked_or_replaced_does_not_renew() {
    let mut rig = Rig::start();
    let first = join(&rig.invite(|_| {}), Some(&name("w")), &rig.dir("w")).await.unwrap();
    rig.dial(&first).await.unwrap();
    let serial = rig.arrival().await.peer.serial;
    rig.turn(60 * DAY_MS);
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let request = crate::pki::renewal::RenewRequest { csr: csr.der().to_vec() };
    let again = rig.invite(|invite| (invite.name, invite.again) = (Some(name("w")), true));
    join(&again, None, &rig.dir("w2")).await.unwrap();
    let refused = crate::pki::renewal::RenewAnswer::Refused;
    assert_eq!(rig.authority.renew(&serial, &request), refused, "replaced");
    rig.authority.revoke(Role::Worker, &name("w"), "", &admin()).unwrap();
    assert_eq!(rig.authority.renew(&serial, &request), refused, "revoked");
    assert_eq!(rig.authority.renew(b"unknown", &request), refused);
    assert_eq!(row(&rig, "w").state, IdentityState::Revoked);
}

#[tokio::test]
async fn garbage_in_place_of_a_renewal_costs_only_its_stream() {
    let mut rig = Rig::start();
    let first = join(&rig.invite(|_| {}), None, &rig.dir("w")).await.unwrap();
    let connected = rig.dial(&first).await.unwrap();
    let mut arrival = rig.arrival().await;
    for garbage in [&b""[..], b"garbage", &[0xff; 9_000], b"\xff\xff\xff\xff\x0f"] {
        let (mut send, mut receive) = connected.session.connection().open_bi().await.unwrap();
        // One that is too long is stopped while it is written.
        let _stopped = send.write_all(garbage).await;
        let _stopped = send.finish();
        assert!(in_time(receive.read_to_end(9_000)).await.is_err(), "{} bytes", garbage.len());
    }
    refused(&rig.server, "4 from 127.0.0.1: the renewal request is malformed or slow").await;
    rig.turn(60 * DAY_MS);
    renewed(&rig, &connected.session, &first).await;
    let frame = encode(&7_u32).unwrap();
    connected.session.outbox.send(frame).await.unwrap();
    assert_eq!(in_time(arrival.inbox.next::<u32>()).await.unwrap(), 7);
}

#[tokio::test]
async fn a_machine_that_was_off_too_long_rejoins_under_its_name() {
    let mut rig = Rig::start();
    let first = join(&rig.invite(|_| {}), Some(&name("gpu-7")), &rig.dir("1")).await.unwrap();
    rig.turn(100 * DAY_MS);
    let error = rig.dial(&first).await.unwrap_err();
    println!("off too long: {error}");
    assert!(error.to_string().contains("--rejoin gpu-7"), "{error}");
    assert_eq!(row(&rig, "gpu-7").state, IdentityState::Expired);
    let again = |invite: &mut Invite| (invite.name, invite.again) = (Some(name("gpu-7")), true);
    let second = join(&rig.invite(again), None, &rig.dir("1")).await.unwrap();
    let connected = rig.dial(&second).await.unwrap();
    let _second = rig.arrival().await;
    // Another machine in its place while it is there: the one before is out at once.
    let third = join(&rig.invite(again), None, &rig.dir("2")).await.unwrap();
    let closed = in_time(connected.session.closed()).await;
    assert_eq!(closed.code, Some(CloseCode::Revoked), "{closed}");
    assert!(rig.dial(&second).await.unwrap_err().to_string().contains("revoked"));
    assert!(rig.dial(&third).await.is_ok());
    rig.arrival().await;
    // Nobody rejoins who was never there, and nobody becomes the administrator.
    let check = |change: &dyn Fn(&mut Invite), says: &str| {
        let mut invite = Invite { name: Some(name("x")), again: true, ..an_invite() };
        change(&mut invite);
        let error = rig.authority.invite(&invite, &admin(), &rig.addresses()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    check(&|_| {}, "was ever called `x`");
    check(&|invite| invite.name = None, "say which");
    rig.authority.issue_local(&rig.dir("admin"), &admin(), &[]).unwrap();
    let admins = |invite: &mut Invite| {
        (invite.role, invite.name) = (Role::Operator, Some(name("admin")));
    };
    check(&admins, "own administrator");
    let by_name = |invite: &mut Invite| {
        admins(invite);
        invite.again = false;
    };
    check(&by_name, "own administrator");
}

#[tokio::test]
async fn an_authority_is_changed_under_live_connections() {
    let mut rig = Rig::start();
    let early = join(&rig.invite(|_| {}), Some(&name("early")), &rig.dir("early")).await.unwrap();
    let away = join(&rig.invite(|_| {}), Some(&name("away")), &rig.dir("away")).await.unwrap();
    let token = rig.invite(|_| {});
    let mut live = rig.dial(&early).await.unwrap();
    let arrival = rig.arrival().await;
    let by = actor(Role::Operator, "o");
    let error = rig.authority.rotate(Rotation::Begin, &by).unwrap_err();
    assert!(matches!(error, AuthorityError::Refused(_)), "{error}");
    let error = rig.authority.rotate(Rotation::Finish, &admin()).unwrap_err();
    assert!(error.to_string().contains("not being changed"), "{error}");
    let before = rig.authority.facts();

    rig.authority.rotate(Rotation::Begin, &admin()).unwrap();
    assert!(rig.authority.rotate(Rotation::Begin, &admin()).is_err(), "one at a time");
    assert!(rig.authority.wants_renewal(Role::Worker, &name("early")));
    let facts = rig.authority.facts();
    assert_eq!((facts.generation, facts.behind, &facts.pin), (1, 2, &before.pin));
    assert!(facts.next_pin.is_some_and(|next| next != before.pin));
    // Who joins meanwhile, with a token of before, gets a certificate of the next one.
    let late = join(&token, Some(&name("late")), &rig.dir("late")).await.unwrap();
    assert!(rig.dial(&late).await.is_ok());
    rig.arrival().await;
    // A young certificate is renewed: the master wants it.
    let renewed_early = renewed(&rig, &live.session, &early).await;
    assert_eq!(renewed_early.material.authorities.len(), 2);
    assert!(!rig.authority.wants_renewal(Role::Worker, &name("early")));
    assert!(rig.dial(&away).await.is_ok(), "the old authority is trusted still");
    rig.arrival().await;
    let error = rig.authority.rotate(Rotation::Finish, &admin()).unwrap_err();
    println!("finish: {error}");
    assert!(error.to_string().contains("worker@away"), "{error}");

    // A restart in the middle changes nothing.
    let reopened = open(rig.home.path(), &rig.turned_ms);
    assert_eq!(reopened.facts(), rig.authority.facts());
    drop(reopened);

    let left = rig.authority.rotate(Rotation::FinishNow, &admin()).unwrap();
    assert_eq!(left, [(Role::Worker, name("away"))]);
    let facts = rig.authority.facts();
    assert_eq!((facts.generation, facts.behind, facts.next_pin), (2, 0, None));
    // The connection that was opened with the old certificate goes on.
    arrival.session.outbox.send(encode(&7_u32).unwrap()).await.unwrap();
    assert_eq!(in_time(live.inbox.next::<u32>()).await.unwrap(), 7);
    for (who, identity, good) in
        [("early", &renewed_early, true), ("late", &late, true), ("away", &away, false)]
    {
        let dialled = rig.dial(identity).await;
        assert_eq!(dialled.is_ok(), good, "{who}: {:?}", dialled.err());
    }
    assert!(rig.dial(&early).await.is_err(), "the old certificate is nobody's");
    // Trusted two, and trusts one after the next renewal.
    assert!(rig.authority.wants_renewal(Role::Worker, &name("early")));
    let dialled = rig.dial(&renewed_early).await.unwrap();
    let alone = renewed(&rig, &dialled.session, &renewed_early).await;
    assert_eq!(alone.material.authorities, rig.authority.trusted());
    assert!(!rig.authority.wants_renewal(Role::Worker, &name("early")));
    // Whoever was away joins again, with a token of the new authority.
    let again = rig.invite(|invite| (invite.name, invite.again) = (Some(name("away")), true));
    let back = join(&again, None, &rig.dir("away2")).await.unwrap();
    assert!(rig.dial(&back).await.is_ok());

    // The chain of the trust log still begins with the first authority; its key is gone.
    let trust = rig.home.path().join("trust");
    assert!(!trust.join("ca.key").exists() && trust.join("ca-2.key").exists());
    rig.authority.check_trust().unwrap();
    let reopened = open(rig.home.path(), &rig.turned_ms);
    assert_eq!(reopened.facts(), rig.authority.facts());
}

#[tokio::test]
async fn a_token_of_an_authority_that_is_gone_reaches_nobody() {
    let rig = Rig::start();
    let token = rig.invite(|_| {});
    rig.authority.rotate(Rotation::Begin, &admin()).unwrap();
    rig.authority.rotate(Rotation::Finish, &admin()).unwrap();
    let error = join(&token, None, &rig.dir("w")).await.unwrap_err();
    assert!(matches!(error, JoinError::NotTheMaster { .. }), "{error}");
    assert!(join(&rig.invite(|_| {}), None, &rig.dir("w2")).await.is_ok());
}

#[tokio::test]
async fn a_rotation_that_was_cut_short_is_whole_after_a_restart() {
    let rig = Rig::start();
    let trust = rig.home.path().join("trust");
    // Made, and not written to the log: nobody was told.
    std::fs::write(trust.join("ca-2.key"), b"half").unwrap();
    rig.authority.rotate(Rotation::Begin, &admin()).unwrap();
    let old_key = std::fs::read(trust.join("ca.key")).unwrap();
    rig.authority.rotate(Rotation::Finish, &admin()).unwrap();
    // Written to the log, and the old key not removed.
    super::super::pki::files::write(&trust.join("ca.key"), &old_key).unwrap();
    let reopened = open(rig.home.path(), &rig.turned_ms);
    assert_eq!(reopened.facts().generation, 2);
    assert!(!trust.join("ca.key").exists());
}

#[tokio::test]
async fn a_revocation_withdraws_the_tokens_by_which_one_could_come_back() {
    let rig = Rig::start();
    let mallory = actor(Role::Operator, "mallory");
    rig.issue(Role::Operator, "mallory");
    let invite = Invite {
        role: Role::Submitter,
        name: None,
        uses: 9,
        ttl_ms: 3_600_000,
        replaces: None,
        again: false,
    };
    let made = rig.authority.invite(&invite, &mallory, &rig.addresses()).unwrap().token;
    let shared = rig.invite(|invite| invite.uses = 5);
    let other = rig.invite(|_| {});
    join(&shared, Some(&name("w1")), &rig.dir("w1")).await.unwrap();
    let again = rig.invite(|invite| (invite.name, invite.again) = (Some(name("w1")), true));
    for (role, who) in [(Role::Operator, "mallory"), (Role::Worker, "w1")] {
        rig.authority.revoke(role, &name(who), "", &admin()).unwrap();
    }
    for (number, token) in [made, shared, again].iter().enumerate() {
        let error = join(token, None, &rig.dir(&format!("back-{number}"))).await.unwrap_err();
        assert!(matches!(error, JoinError::Refused), "{number}: {error}");
    }
    // As the log is read at the next start too; and nobody else's token is touched.
    let again = open(rig.home.path(), &rig.turned_ms);
    assert!(again.registry().invites.values().filter(|invite| invite.withdrawn).count() == 3);
    join(&other, Some(&name("w2")), &rig.dir("w2")).await.unwrap();
}

#[tokio::test]
async fn nobody_joins_under_the_name_of_the_masters_own_worker() {
    let rig = Rig::start();
    let wish = name("local");
    let error = join(&rig.invite(|_| {}), Some(&wish), &rig.dir("1")).await.unwrap_err();
    assert!(matches!(error, JoinError::Name(_)), "{error}");
    let named = Invite {
        role: Role::Worker,
        name: Some(wish),
        uses: 1,
        ttl_ms: 1_000,
        replaces: None,
        again: false,
    };
    let error = rig.authority.invite(&named, &admin(), &rig.addresses()).unwrap_err();
    assert!(error.to_string().contains("the master starts itself"), "{error}");
}

#[tokio::test]
async fn an_identity_from_a_clock_that_was_ahead_is_made_anew() {
    let rig = Rig::start();
    rig.turn(400 * DAY_MS);
    let ahead = rig.issue(Role::Operator, "o");
    rig.turn(0);
    let kept = rig.issue(Role::Operator, "o");
    assert!(kept.certificate_ends < ahead.certificate_ends);
    rig.dial(&kept).await.unwrap();
}

#[tokio::test]
async fn a_cluster_in_use_whose_mark_was_lost_is_not_begun_again() {
    let rig = Rig::start();
    let _known = rig.issue(Role::Worker, "w");
    let trust = rig.home.path().join("trust");
    std::fs::remove_file(trust.join("complete")).unwrap();
    let clock = rig.authority.clock();
    let error = Authority::open(&trust, "host", clock).unwrap_err();
    assert!(error.to_string().contains("complete is missing"), "{error}");
    assert!(trust.join("trust.log").exists() && trust.join("ca.key").exists());
}
