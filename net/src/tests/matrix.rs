//! The matrix of TLS: who gets in, and what the others are told. Joining has its own in joining.rs.

use std::time::Duration;

use ganger_proto::message::{HelloBody, MinorRange};
use ganger_proto::{Role, WallMs};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

use super::*;
use crate::error::CloseCode;
use crate::pki::ca::{Ca, dns_name, offset};
use crate::pki::certificate;
use crate::tls::{client_data, client_join};
use crate::transport::{Door, client, dial as endpoint};

const DAY_MS: u64 = 86_400_000;
const WORKER: Subject = Subject::Client(Role::Worker);

fn uri(rig: &Rig, path: &str) -> SanType {
    let text = format!("spiffe://{}/{path}", rig.authority.cluster());
    SanType::URI(text.as_str().try_into().unwrap())
}

type Change = fn(&Rig, &mut CertificateParams);

/// Certificates of our authority that fit no role.
const MISFITS: [(&str, Change); 9] = [
    ("wrong EKU", |_, p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("both EKUs", |_, p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)),
    ("no EKU", |_, p| p.extended_key_usages.clear()),
    ("two URIs", |rig, p| p.subject_alt_names.push(uri(rig, "operator/root"))),
    ("no URI", |_, p| {
        p.subject_alt_names = vec![SanType::DnsName("worker".try_into().unwrap())];
    }),
    ("unknown role", |rig, p| p.subject_alt_names = vec![uri(rig, "root/x")]),
    ("bad name", |rig, p| p.subject_alt_names = vec![uri(rig, "worker/a/b")]),
    ("other cluster", |_, p| {
        let text = "spiffe://elsewhere/worker/odd";
        p.subject_alt_names = vec![SanType::URI(text.try_into().unwrap())];
    }),
    ("a CA", |_, p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
];

fn day(rig: &Rig, days: i64) -> time::OffsetDateTime {
    offset(WallMs(rig.authority.now().0.saturating_add_signed(days * DAY_MS as i64)))
}

/// Each stranger: what it is, what it is told, and what the master says it refused.
fn strangers(rig: &Rig) -> Vec<([&'static str; 3], ClientIdentity)> {
    let now = rig.authority.now();
    let other = Ca::make(rig.authority.cluster(), now).unwrap();
    let other = Ca::load(rig.authority.cluster().clone(), 1, other.0, &other.1).unwrap();
    let [own_key, other_key] = [(); 2].map(|()| KeyPair::generate().unwrap());
    let by_self = rig.authority.ca().leaf(WORKER, &name("w1"), now).self_signed(&own_key).unwrap();
    let by_other = other.sign(other.leaf(WORKER, &name("w1"), now), &other_key).unwrap();
    let expired = |p: &mut CertificateParams| {
        (p.not_before, p.not_after) = (day(rig, -20), day(rig, -1));
    };
    let early = |p: &mut CertificateParams| p.not_before = day(rig, 1);
    let unfit = |case| [case, "fits no role", "does not fit a role"];
    let mut all = vec![
        (
            ["self-signed", "another authority", "another authority"],
            rig.shown(&own_key, by_self.der().clone()),
        ),
        (
            ["other CA, our name", "another authority", "another authority"],
            rig.shown(&other_key, by_other),
        ),
        (["expired", "it was good from", "has expired"], rig.odd(WORKER, expired)),
        (["not yet valid", "it was good from", "not valid yet"], rig.odd(WORKER, early)),
        (unfit("master as client"), rig.odd(Subject::Master, |_| {})),
        (["unknown serial", "does not know", "not in the registry"], rig.odd(WORKER, |_| {})),
    ];
    let misfit = |(case, change): (&'static str, Change)| {
        (unfit(case), rig.odd(WORKER, |params| change(rig, params)))
    };
    all.extend(MISFITS.map(misfit));
    all
}

#[tokio::test]
async fn strangers_are_told_why() {
    let rig = Rig::start();
    for ([case, told, noted], identity) in strangers(&rig) {
        let Err(error) = rig.dial(&identity).await else { panic!("{case} got in") };
        println!("{case:<20} {error}");
        assert!(error.is_final() && error.to_string().contains(told), "{case}: {error}");
        refused(&rig.server, noted).await;
    }
}

/// Whoever had the root's key could write this; the serial number is no secret.
#[tokio::test]
async fn a_known_serial_number_with_another_key_is_nobody() {
    let rig = Rig::start();
    let known = rig.issue(Role::Worker, "odd");
    let leaf = certificate::read(&known.material.certificate, rig.authority.cluster()).unwrap();
    let forged = rig.odd(WORKER, |params| params.serial_number = Some(leaf.serial.into()));
    let error = rig.dial(&forged).await.unwrap_err();
    assert!(error.is_final() && error.to_string().contains("does not know"), "{error}");
    rig.dial(&known).await.unwrap();
}

#[tokio::test]
async fn every_role_gets_in_as_itself_and_as_nothing_else() {
    let mut rig = Rig::start();
    for role in Role::ALL {
        let identity = rig.issue(role, "a");
        let connected = rig.dial(&identity).await.unwrap();
        assert_eq!(connected.welcome.you, actor(role, "a"));
        assert_eq!(rig.arrival().await.peer.actor, actor(role, "a"));
        let wrong = if role == Role::Worker { HelloBody::Client } else { worker(1) };
        let error = rig.dial_with(&identity, &hello(wrong)).await.unwrap_err();
        println!("{role} with the other hello: {error}");
        assert!(error.is_final() && error.to_string().contains("cannot be used for this"));
    }
    let dir = rig.dir("admin");
    let identity = rig.authority.issue_local(&dir, &admin(), &rig.addresses()).unwrap();
    assert!(rig.dial(&identity).await.unwrap().welcome.you.admin);
}

#[tokio::test]
async fn another_version_is_told_so() {
    let rig = Rig::start();
    let mut hello = hello(worker(1));
    hello.minor = MinorRange { min: 700, max: 701 };
    let error = rig.dial_with(&rig.issue(Role::Worker, "a"), &hello).await.unwrap_err();
    println!("{error}");
    assert!(error.is_final() && error.to_string().contains("700 to 701"), "{error}");
}

#[tokio::test]
async fn a_revoked_identity_is_gone_at_once_and_stays_out() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let mut connected = rig.dial(&identity).await.unwrap();
    let mut arrival = rig.arrival().await;
    rig.authority.revoke(Role::Worker, &name("w"), "lost", &admin()).unwrap();
    rig.server.kick(Role::Worker, &name("w"), CloseCode::Revoked, "lost");
    let late = arrival.inbox.next::<u8>().await;
    assert!(late.is_err(), "nothing that comes after the kick counts");
    let ended = async {
        let closed = connected.session.closed().await;
        let heard = connected.inbox.next::<u8>().await.unwrap_err();
        (closed, heard)
    };
    let (closed, heard) = tokio::time::timeout(Duration::from_secs(1), ended).await.unwrap();
    println!("kicked: {closed}; {heard}");
    assert_eq!(closed.code, Some(CloseCode::Revoked));
    assert!(closed.sentence.contains("lost") && closed.sentence.contains("ganger invite"));
    let error = rig.dial(&identity).await.unwrap_err();
    println!("again: {error}");
    assert!(error.is_final() && error.to_string().contains("revoked"));
    refused(&rig.server, "revoked").await;
    let error = rig.authority.revoke(Role::Worker, &name("w"), "", &admin()).unwrap_err();
    assert!(error.to_string().contains("revoked before"), "{error}");
}

#[tokio::test]
async fn nobody_resumes() {
    let rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let mut tls = client_data(&identity).unwrap();
    // What a hostile client would do: keep every ticket, and send early data with it.
    tls.resumption = rustls::client::Resumption::in_memory_sessions(16);
    tls.enable_early_data = true;
    let config = client(tls, Door::Data).unwrap();
    let endpoint = endpoint().unwrap();
    let dns = dns_name(rig.authority.cluster());
    let first = endpoint.connect_with(config.clone(), rig.server.local_addr(), &dns).unwrap();
    let first = first.await.unwrap();
    rig.authority.revoke(Role::Worker, &name("w"), "", &admin()).unwrap();
    let again = endpoint.connect_with(config, rig.server.local_addr(), &dns).unwrap();
    let Err(again) = again.into_0rtt() else { panic!("early data was let in") };
    let ended = match again.await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    println!("resumption: {ended}");
    assert!(
        matches!(&ended, quinn::ConnectionError::ConnectionClosed(close)
        if u64::from(close.error_code) == 0x100 + 44),
        "{ended}"
    );
    drop(first);
}

#[tokio::test]
async fn protocols_and_tags_do_not_mix() {
    let rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let pin = rig.authority.ca().pin;
    let with_alpn = |mut config: rustls::ClientConfig, alpn: &[u8]| {
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    };
    let data = || client_data(&identity).unwrap();
    let cases = [
        ("no certificate", Door::Data, with_alpn(client_join(pin).unwrap(), b"ganger/1"), 116),
        ("unknown ALPN", Door::Data, with_alpn(data(), b"ganger/9"), 120),
        ("joining ALPN, no tag", Door::Data, with_alpn(data(), b"ganger-enroll/1"), 120),
        ("data ALPN, tag", Door::Join, data(), 120),
        (
            "data ALPN, tag, no certificate",
            Door::Join,
            with_alpn(client_join(pin).unwrap(), b"ganger/1"),
            120,
        ),
    ];
    let dns = dns_name(rig.authority.cluster());
    for (case, door, tls, alert) in cases {
        let endpoint = endpoint().unwrap();
        let config = client(tls, door).unwrap();
        let dialled = endpoint.connect_with(config, rig.server.local_addr(), &dns).unwrap();
        let ended = match dialled.await {
            Ok(connection) => connection.closed().await,
            Err(error) => error,
        };
        println!("{case:<32} {ended}");
        assert!(
            matches!(&ended, quinn::ConnectionError::ConnectionClosed(close)
            if u64::from(close.error_code) == 0x100 + alert),
            "{case}: {ended}"
        );
    }
    assert!(rig.dial(&identity).await.is_ok());
}

#[tokio::test]
async fn a_worker_cannot_pose_as_the_master() {
    let rig = Rig::start();
    let worker = rig.issue(Role::Worker, "w");
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ));
    let chain = vec![worker.material.certificate.clone(), rig.authority.ca().certificate.clone()];
    let mut tls = tls
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, worker.material.private_key())
        .unwrap();
    tls.alpn_protocols = vec![b"ganger/1".to_vec(), b"ganger-enroll/1".to_vec()];
    let config = crate::transport::server(tls, Door::Data).unwrap();
    let impostor =
        crate::transport::listen(loopback(0), config, ([0; 64], 0), Default::default()).unwrap();
    let address = impostor.local_addr().unwrap().to_string();
    let posing = tokio::spawn(async move {
        while let Some(incoming) = impostor.accept().await {
            let _refused = incoming.await;
        }
    });
    let dialler = Dialer::new(&rig.issue(Role::Operator, "o")).unwrap();
    let error =
        dialler.dial(std::slice::from_ref(&address), &hello(HelloBody::Client)).await.unwrap_err();
    println!("dialled: {error}");
    assert!(error.is_final() && error.to_string().contains("not the master"), "{error}");
    let mut token = rig.invite(|_| {});
    token.addresses = vec![address];
    let error = crate::client::join(&token, None, &rig.dir("j")).await.unwrap_err();
    println!("joined: {error}");
    assert!(matches!(error, crate::client::JoinError::NotTheMaster { .. }), "{error}");
    posing.abort();
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    // Connected two seconds before the certificate ends.
    rig.turn((90 * DAY_MS) as i64 - 2_000);
    let connected = rig.dial(&identity).await.unwrap();
    let _held = rig.arrival().await;
    let closed = tokio::time::timeout(LONG, connected.session.closed()).await.unwrap();
    println!("{closed}");
    assert_eq!(closed.code, Some(CloseCode::Expired));
    let error = rig.dial(&identity).await.unwrap_err();
    println!("{error}");
    // By this machine's own clock it is still good: the master's may be wrong, and be set right.
    assert!(!error.is_final() && error.to_string().contains("set both clocks"), "{error}");
}

#[tokio::test]
async fn clocks_may_differ_by_ten_minutes() {
    for minutes in [-10, 10] {
        let rig = Rig::start();
        rig.turn(minutes * 60_000);
        let identity = crate::client::join(&rig.invite(|_| {}), None, &rig.dir("j")).await.unwrap();
        assert!(rig.dial(&identity).await.is_ok(), "{minutes} min");
    }
}

#[tokio::test]
async fn the_masters_certificate_is_renewed_while_it_runs() {
    let rig = Rig::start();
    let before = rig.authority.master();
    rig.authority.renew_master().unwrap();
    assert_eq!(rig.authority.master().cert, before.cert, "not yet");
    rig.turn((61 * DAY_MS) as i64);
    rig.authority.renew_master().unwrap();
    assert_ne!(rig.authority.master().cert, before.cert);
}
