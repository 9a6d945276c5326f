//! Joining over the wire: tokens used, expired, mistyped, wrong; hostile requests; lost answers;
//! and what is left on disk.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

use super::*;
use crate::client::{JoinError, join};
use crate::limits::{CSR_BYTES_MAX, JOIN_DOOR};
use crate::pki::authority::AuthorityError;
use crate::pki::ca::dns_name;
use crate::pki::certificate;
use crate::pki::enroll::{Granted, JoinAnswer, JoinRequest};
use crate::pki::identity::{IdentityError, pending_key};
use crate::pki::record::Wish;
use crate::tls::client_join;
use crate::transport::{Door, client, dial as endpoint};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn request(token: &Token, csr: &[u8], wish: &str) -> JoinRequest {
    let wish = Wish::Named(name(wish));
    JoinRequest { invite: token.id, secret: *token.secret, wish, csr: csr.to_vec() }
}

fn csr(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

fn enroll(rig: &Rig, request: &JoinRequest) -> JoinAnswer {
    rig.authority.enroll(request, HERE).answer
}

fn granted(answer: JoinAnswer) -> Granted {
    match answer {
        JoinAnswer::Granted(granted) => granted,
        JoinAnswer::Refused | JoinAnswer::Name(_) | JoinAnswer::Busy => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn joiners_get_the_role_of_the_invite_and_a_free_name() {
    let mut rig = Rig::start();
    for role in Role::ALL {
        let token = rig.invite(|invite| invite.role = role);
        // The token crosses a terminal.
        let token: Token = token.to_string().parse().unwrap();
        let dir = rig.dir(role.word());
        let joined = join(&token, Some(&name("alpha")), &dir).await.unwrap();
        assert_eq!((joined.role, joined.name.as_str()), (role, "alpha"));
        let loaded = ClientIdentity::load(&dir).unwrap();
        assert_eq!(loaded.cluster, *rig.authority.cluster());
        assert!(rig.dial(&loaded).await.is_ok());
        assert_eq!(rig.arrival().await.peer.actor, actor(role, "alpha"));
    }
    let many = rig.invite(|invite| invite.uses = 3);
    let mut names = Vec::new();
    for number in 0..3 {
        names.push(join(&many, None, &rig.dir(&format!("h{number}"))).await.unwrap().name);
    }
    let host = names[0].as_str();
    assert_eq!(names[1].as_str(), format!("{host}-2"));
    assert_eq!(names[2].as_str(), format!("{host}-3"));
    let error = join(&rig.invite(|_| {}), Some(&name("alpha")), &rig.dir("t")).await.unwrap_err();
    println!("name taken: {error}");
    assert!(matches!(&error, JoinError::Name(why) if why.contains("`alpha` has joined already")));
    let given = rig.invite(|invite| invite.name = Some(name("beta")));
    let joined = join(&given, Some(&name("other")), &rig.dir("b")).await.unwrap();
    assert_eq!(joined.name.as_str(), "beta");
}

#[tokio::test]
async fn a_name_that_was_given_is_free_only_for_who_is_invited_by_it() {
    let mut rig = Rig::start();
    let alpha = name("alpha");
    let first = join(&rig.invite(|_| {}), Some(&alpha), &rig.dir("1")).await.unwrap();
    let by_name = |invite: &mut Invite| invite.name = Some(alpha.clone());
    let takes = async |rig: &Rig, dir: &str| {
        let token = rig.invite(|_| {});
        let error = join(&token, Some(&alpha), &rig.dir(dir)).await.unwrap_err();
        assert!(
            matches!(&error, JoinError::Name(why) if why.contains("--rejoin alpha")),
            "{error}"
        );
    };
    takes(&rig, "held").await;
    rig.authority.revoke(Role::Worker, &alpha, "", &admin()).unwrap();
    takes(&rig, "revoked").await;
    let second = join(&rig.invite(by_name), None, &rig.dir("2")).await.unwrap();
    assert_eq!(second.name, alpha);
    assert!(rig.dial(&first).await.is_err(), "the old certificate stays revoked");
    rig.turn(91 * 86_400_000);
    takes(&rig, "expired").await;
    let third = join(&rig.invite(by_name), None, &rig.dir("3")).await.unwrap();
    assert!(rig.dial(&third).await.is_ok());
    rig.arrival().await;
    assert_eq!(rig.authority.identities(None, 100).len(), 1);
}

#[tokio::test]
async fn tokens_that_are_not_good_all_get_the_same_answer() {
    let rig = Rig::start();
    let used = rig.invite(|_| {});
    join(&used, None, &rig.dir("used")).await.unwrap();
    let withdrawn = rig.invite(|_| {});
    rig.invite(|invite| invite.replaces = Some(crate::pki::hex(&withdrawn.id)));
    let wrong = Token { secret: Zeroizing::new([7; 16]), ..rig.invite(|_| {}) };
    let unknown = Token { id: [7; 8], ..rig.invite(|_| {}) };
    let expired = rig.invite(|invite| invite.ttl_ms = 1_000);
    rig.turn(2_000);
    let cases = [
        ("used", used),
        ("withdrawn", withdrawn),
        ("wrong secret", wrong),
        ("unknown", unknown),
        ("expired", expired),
    ];
    for (case, token) in cases {
        let answer = join(&token, None, &rig.dir(&format!("no {case}"))).await;
        println!("{case:<14} {}", answer.as_ref().unwrap_err());
        assert!(matches!(answer, Err(JoinError::Refused)), "{case}");
    }
    refused(&rig.server, "5 from 127.0.0.1: the join token was not valid").await;
}

#[tokio::test]
async fn a_wrong_pin_keeps_the_secret_at_home() {
    let rig = Rig::start();
    let token = rig.invite(|_| {});
    let wrong = Token { pin: [7; 32], ..token.clone() };
    let error = join(&wrong, None, &rig.dir("w")).await.unwrap_err();
    println!("wrong pin: {error}");
    assert!(matches!(error, JoinError::NotTheMaster { .. }), "{error}");
    let wrong = Token { cluster: name("other"), ..token.clone() };
    let error = join(&wrong, None, &rig.dir("w")).await.unwrap_err();
    println!("wrong cluster: {error}");
    assert!(matches!(error, JoinError::NotTheMaster { .. }), "{error}");
    let error = join(&Token { cluster: name("a..b"), ..token.clone() }, None, &rig.dir("w")).await;
    println!("no DNS name: {}", error.unwrap_err());
    // It was not used up.
    assert!(join(&token, None, &rig.dir("w")).await.is_ok());
}

#[tokio::test]
async fn only_the_key_is_taken_from_a_request() {
    let rig = Rig::start();
    let token = rig.invite(|_| {});
    let key = KeyPair::generate().unwrap();
    let cluster = rig.authority.cluster();
    let mut hostile = CertificateParams::new(vec![dns_name(cluster)]).unwrap();
    hostile.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    hostile.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let root = format!("spiffe://{cluster}/operator/root");
    hostile.subject_alt_names.push(SanType::URI(root.as_str().try_into().unwrap()));
    let csr = hostile.serialize_request(&key).unwrap().der().to_vec();
    let granted = granted(enroll(&rig, &request(&token, &csr, "w")));
    let leaf = certificate::read(&granted.certificate, cluster).unwrap();
    assert_eq!((leaf.subject, leaf.name), (Subject::Client(Role::Worker), name("w")));
}

#[tokio::test]
async fn a_bad_request_uses_nothing_up() {
    let rig = Rig::start();
    let token = rig.invite(|_| {});
    let good = csr(&KeyPair::generate().unwrap());
    let mut unsigned = good.clone();
    *unsigned.last_mut().unwrap() ^= 1;
    let long = vec![0x30; CSR_BYTES_MAX + 1];
    for bad in [&unsigned[..], &good[..good.len() - 1], &long, b"", b"\x30\x84\xff\xff\xff\xff"] {
        let answer = enroll(&rig, &request(&token, bad, "w"));
        assert_eq!(answer, JoinAnswer::Refused, "{} bytes", bad.len());
    }
    granted(enroll(&rig, &request(&token, &good, "w")));
}

#[tokio::test]
async fn a_lost_answer_costs_no_second_use() {
    let rig = Rig::start();
    let (token, dir) = (rig.invite(|_| {}), rig.dir("w"));
    let key = pending_key(&dir).unwrap();
    let lost = granted(enroll(&rig, &request(&token, &csr(&key), "w")));
    let entries = rig.authority.audit(0, 100).len();
    let joined = join(&token, Some(&name("w")), &dir).await.unwrap();
    assert_eq!(joined.material.certificate.to_vec(), lost.certificate);
    assert_eq!(rig.authority.audit(0, 100).len(), entries, "nothing was written");
    assert!(!dir.join("pending.key").exists());
    let other = enroll(&rig, &request(&token, &csr(&key), "other"));
    assert_eq!(other, JoinAnswer::Refused, "the same key under another name");
    // Revoked meanwhile: the token does not bring it back.
    rig.authority.revoke(Role::Worker, &name("w"), "", &admin()).unwrap();
    let again = enroll(&rig, &request(&token, &csr(&key), "w"));
    assert_eq!(again, JoinAnswer::Refused);
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let mut rig = Rig::start();
    let used = rig.invite(|_| {});
    let unused = rig.invite(|_| {});
    let joined = join(&used, None, &rig.dir("w")).await.unwrap();
    let gone = rig.issue(Role::Viewer, "v");
    rig.authority.revoke(Role::Viewer, &name("v"), "left us", &admin()).unwrap();
    let before = (rig.authority.audit(0, 100), rig.authority.identities(None, 100));
    rig.server.close().await;
    assert!(rig.server.accept().await.is_none());
    let authority = open(rig.home.path(), &rig.turned_ms);
    let texts = |rows: &[ganger_proto::audit::AuditRow]| {
        rows.iter().map(|row| (row.number, row.at, row.text.clone())).collect::<Vec<_>>()
    };
    assert_eq!(texts(&authority.audit(0, 100)), texts(&before.0));
    assert_eq!(authority.audit(2, 1)[0].number, 3);
    assert_eq!(authority.identities(None, 100).len(), before.1.len());
    for row in authority.audit(0, 100) {
        println!("{} {}", row.number, row.text);
    }
    let server = rebind(rig.server.local_addr(), &authority).await;
    let home = std::mem::replace(&mut rig.home, tempfile::tempdir().unwrap());
    let rig = Rig::over(home, rig.turned_ms.clone(), authority, Arc::new(server));
    assert!(rig.dial(&joined).await.is_ok(), "the same port, the same authority");
    assert!(rig.dial(&gone).await.unwrap_err().to_string().contains("revoked"));
    assert!(matches!(join(&used, None, &rig.dir("2")).await, Err(JoinError::Refused)));
    assert!(join(&unused, None, &rig.dir("3")).await.is_ok());
}

#[tokio::test]
async fn only_operators_admit_and_only_administrators_admit_operators() {
    let rig = Rig::start();
    rig.issue(Role::Worker, "x");
    rig.issue(Role::Operator, "x");
    for by in Role::ALL.into_iter().map(|role| actor(role, "b")).chain([admin()]) {
        for role in Role::ALL {
            let may = by.role == Role::Operator && (role != Role::Operator || by.admin);
            let invite = Invite { role, ..an_invite() };
            let invited = rig.authority.invite(&invite, &by, &rig.addresses());
            assert_eq!(invited.is_ok(), may, "{by} invites a {role}");
            let revoked = rig.authority.revoke(role, &name("nobody"), "", &by);
            let why = revoked.unwrap_err().to_string();
            assert_eq!(why.contains("no ") && !why.contains("may not"), may, "{by}: {why}");
        }
    }
    rig.authority.issue_local(&rig.dir("admin"), &admin(), &[]).unwrap();
    let own = rig.authority.revoke(Role::Operator, &name("admin"), "", &admin());
    assert!(own.unwrap_err().to_string().contains("own administrator"));
}

#[tokio::test]
async fn invites_keep_to_their_limits() {
    let rig = Rig::start();
    rig.issue(Role::Worker, "x");
    let check = |change: &dyn Fn(&mut Invite), says: &str| {
        let mut invite = an_invite();
        change(&mut invite);
        let error = rig.authority.invite(&invite, &admin(), &rig.addresses()).unwrap_err();
        println!("{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    check(&|invite| invite.uses = 0, "uses");
    check(&|invite| invite.ttl_ms = u64::MAX, "days");
    check(&|invite| (invite.name, invite.uses) = (Some(name("y")), 2), "only one");
    check(&|invite| invite.name = Some(name("x")), "joined already");
    let error = rig.authority.invite(&an_invite(), &admin(), &[]).unwrap_err();
    assert!(error.to_string().contains("--advertise"), "{error}");
}

#[tokio::test]
async fn local_identities_are_renewed_after_a_day() {
    let rig = Rig::start();
    let issue = || rig.authority.issue_local(&rig.dir("a"), &admin(), &rig.addresses());
    let first = issue().unwrap().material.certificate.clone();
    rig.turn(23 * 3_600_000);
    assert_eq!(issue().unwrap().material.certificate, first);
    rig.turn(25 * 3_600_000);
    let second = issue().unwrap();
    assert_ne!(second.material.certificate, first);
    assert!(rig.dial(&second).await.unwrap().welcome.you.admin);
    rig.issue(Role::Worker, "local");
    rig.authority.revoke(Role::Worker, &name("local"), "", &admin()).unwrap();
    let again = rig.authority.issue_local(&rig.dir("l"), &actor(Role::Worker, "local"), &[]);
    assert!(matches!(again, Err(AuthorityError::Refused(_))), "{again:?}");
}

#[tokio::test]
async fn keys_are_private_on_disk_or_not_used() {
    let rig = Rig::start();
    let dir = rig.dir("w");
    join(&rig.invite(|_| {}), None, &dir).await.unwrap();
    let trust = rig.home.path().join("trust");
    for folder in [&dir, &trust] {
        assert_eq!(std::fs::metadata(folder).unwrap().mode() & 0o7777, 0o700);
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o7777, 0o600, "{:?}", entry.path());
        }
    }
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&dir.join("identity.json"), 0o644);
    let error = ClientIdentity::load(&dir).unwrap_err();
    println!("{error}");
    assert!(matches!(error, IdentityError::Mode { mode: 0o644, wanted: 0o600, .. }));
    let reopen = || Authority::open(&trust, "h", clock(rig.turned_ms.clone()));
    for file in ["ca.key", "ca.crt", "master.key", "trust.log", "cluster"] {
        chmod(&trust.join(file), 0o640);
        let error = reopen().unwrap_err();
        assert!(error.to_string().contains("mode 0640"), "{file}: {error}");
        chmod(&trust.join(file), 0o600);
    }
    chmod(&trust, 0o755);
    assert!(reopen().unwrap_err().to_string().contains("mode 0755"));
    chmod(&trust, 0o700);
    for file in ["ca.key", "ca.crt", "trust.log", "cluster"] {
        let kept = std::fs::read(trust.join(file)).unwrap();
        std::fs::remove_file(trust.join(file)).unwrap();
        let error = reopen().unwrap_err();
        println!("{error}");
        assert!(matches!(error, AuthorityError::Damaged(_)), "{file}: {error}");
        std::fs::write(trust.join(file), kept).unwrap();
        chmod(&trust.join(file), 0o600);
    }
    assert!(reopen().is_ok());
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_begins_again() {
    let home = tempfile::tempdir().unwrap();
    let turned_ms = Arc::new(AtomicI64::new(0));
    let first = open(home.path(), &turned_ms).cluster().clone();
    assert!(first.as_str().starts_with("host-local-"), "{first}");
    assert_eq!(*open(home.path(), &turned_ms).cluster(), first);
    std::fs::remove_file(home.path().join("trust/complete")).unwrap();
    let again = open(home.path(), &turned_ms);
    assert_eq!(again.audit(0, 100).len(), 1);
    assert_eq!(open(home.path(), &turned_ms).cluster(), again.cluster());
}

#[tokio::test]
async fn failed_tokens_shut_an_address_out_of_joining_only() {
    let rig = Rig::start();
    let wrong = Token { secret: Zeroizing::new([7; 16]), ..rig.invite(|_| {}) };
    let mut refusals = 0;
    let shut = loop {
        let error = join(&wrong, None, &rig.dir("w")).await.unwrap_err();
        if !matches!(error, JoinError::Refused) {
            break error;
        }
        refusals += 1;
        assert!(refusals < 20, "the door stays open");
    };
    println!("after {refusals} failures: {shut}");
    assert!(refusals >= JOIN_DOOR.failures as usize);
    assert!(matches!(shut, JoinError::Unreachable { .. }), "{shut}");
    refused(&rig.server, "too many failures").await;
    assert!(rig.dial(&rig.issue(Role::Worker, "w")).await.is_ok());
}

#[tokio::test]
async fn a_joining_connection_has_one_stream_and_little_time() {
    let rig = Rig::start();
    let config = client(client_join(rig.authority.ca().pin).unwrap(), Door::Join).unwrap();
    let endpoint = endpoint().unwrap();
    let dns = dns_name(rig.authority.cluster());
    let dialled = endpoint.connect_with(config, rig.server.local_addr(), &dns).unwrap();
    let connection = dialled.await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let ended = tokio::select! {
        Ok(_) = connection.open_bi() => panic!("it got a second stream"),
        ended = connection.closed() => ended,
    };
    println!("slow join: {ended}");
    assert!(matches!(ended, quinn::ConnectionError::ApplicationClosed(_)), "{ended}");
    refused(&rig.server, "no join request came in time").await;
}

#[tokio::test]
async fn garbage_instead_of_a_request_is_no_request() {
    let rig = Rig::start();
    let config = client(client_join(rig.authority.ca().pin).unwrap(), Door::Join).unwrap();
    let endpoint = endpoint().unwrap();
    let dns = dns_name(rig.authority.cluster());
    for garbage in [vec![], vec![0xff; 100], vec![0; 7_000], vec![1; 9_000]] {
        let dialled = endpoint.connect_with(config.clone(), rig.server.local_addr(), &dns).unwrap();
        let connection = dialled.await.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        let _refused = send.write_all(&garbage).await;
        let _refused = send.finish();
        let answer = receive.read_to_end(100).await;
        assert!(answer.is_err(), "{} bytes: {answer:?}", garbage.len());
    }
    refused(&rig.server, "4 from 127.0.0.1: the join request is malformed").await;
}
