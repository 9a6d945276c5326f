//! The corpora of this crate's targets, replayed, and how they began.

use ganger_proto::command::{Invite, Stream, Submit, SubmitHead};
use ganger_proto::follow::{Followed, Piece};
use ganger_proto::gang::Allows;
use ganger_proto::message::{
    ClientMessage, DoneRun, FollowHeader, Grant, GrantRun, Held, Hello, HelloBody, Kept, LeaseRun,
    MINOR, OutputHeader, Report, ToClient, ToWorker, Welcome, WorkerHello, WorkerMessage,
    WorkerStream,
};
use ganger_proto::place::{Need, Offer};
use ganger_proto::{
    Actor, ArgList, Args, BatchId, BatchOptions, Ended, Epoch, Key, Kind, Label, Lane, LeaseId,
    Name, Outcome, PerLane, Refusal, Reply, Request, Role, Select, SessionId, Spec, SpecId, TaskId,
    Template, WallMs,
};
use rcgen::{CertificateParams, KeyPair};
use serde::Serialize;

use super::{certificate, frame, message, token, trust};
use crate::pki::ca::Ca;
use crate::pki::certificate::Subject;
use crate::pki::enroll::{Granted, JoinAnswer, JoinRequest};
use crate::pki::record::{Certified, Entry, InviteEntry, JoinedEntry, Record, Wish};
use crate::pki::trust_log::{entry, genesis};

#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

use replay::{plant, replay};

#[test]
fn frames() {
    replay("frame", frame::check);
}

#[test]
fn messages() {
    replay("message", message::check);
}

#[test]
fn tokens() {
    replay("token", token::check);
}

#[test]
fn certificates() {
    replay("certificate", certificate::check);
}

#[test]
fn trust_logs() {
    replay("trust", trust::check);
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn lease(counter: u64) -> LeaseId {
    LeaseId { epoch: Epoch::new(1), counter }
}

fn of<T: Serialize>(kind: u8, message: &T) -> Vec<u8> {
    postcard::to_extend(message, vec![kind]).unwrap()
}

fn hello() -> Vec<Vec<u8>> {
    let worker = WorkerHello {
        session: SessionId::new(7),
        slots: PerLane { cpu: 2, io: 4 },
        hold: PerLane { cpu: 4, io: 4 },
        holding: vec![Held { leases: LeaseRun { first: lease(3), count: 2 }, started: true }],
        reported: 4,
        policy: "exec any".to_owned(),
        allows: Allows::ALL,
        labels: vec![Label::parse("zone=eu").unwrap()],
        handlers: vec![Offer { name: name("resize"), lane: Lane::Io }],
        resources: vec![Need::parse("gpu=2").unwrap()],
        draining: false,
    };
    let hello = |body| Hello { minor: MINOR, version: "0.1.0".to_owned(), body };
    let you = Actor { role: Role::Worker, name: name("alpha"), admin: false };
    let welcome = Welcome {
        minor: 3,
        version: "0.1.0".to_owned(),
        cluster: name("host-ab12"),
        epoch: Epoch::new(1),
        started: WallMs(1),
        now: WallMs(2),
        you,
        term_ms: 10_000,
        beat_ms: 2_000,
        renew: false,
        stale: Vec::new(),
        acknowledged: 3,
    };
    vec![
        of(0, &hello(HelloBody::Worker(worker))),
        of(0, &hello(HelloBody::Client)),
        of(1, &welcome),
    ]
}

fn workers() -> Vec<Vec<u8>> {
    let leases = vec![LeaseRun { first: lease(1), count: 3 }];
    let results: ArgList = [&b"1"[..], b"22"].into_iter().collect();
    let done = vec![DoneRun { first: lease(1), took_us: vec![5, 6], results }];
    let ended = vec![Ended::bare(lease(4), Outcome::Failed { code: 2 }, 77)];
    let report = Report { number: 1, done, ended, for_good: vec![lease(4)] };
    let argv = vec![Template::from_text("gzip").unwrap(), Template::from_text("{}").unwrap()];
    let run = GrantRun {
        lease: lease(1),
        task: TaskId::new(1),
        batch: BatchId::new(1),
        index: 0,
        attempt: 1,
        spec: SpecId::new(1),
        args: Args::Range { first: 1, step: 2, count: 4 },
    };
    let specs = vec![(SpecId::new(1), Spec::of(Kind::Exec { argv }))];
    let kept = Kept { head: 10, skipped: 2, tail: 3 };
    let header = OutputHeader { lease: lease(1), stdout: kept, stderr: Kept::default() };
    vec![
        of(2, &WorkerMessage::Hold { tasks: PerLane { cpu: 3, io: 0 } }),
        of(2, &WorkerMessage::Started { leases: leases.clone() }),
        of(2, &WorkerMessage::Report(report)),
        of(3, &ToWorker::Grant(Grant { specs, runs: vec![run] })),
        of(3, &ToWorker::Stale { leases }),
        of(6, &WorkerStream::Output(header)),
    ]
}

fn clients() -> Vec<Vec<u8>> {
    let head = SubmitHead { spec: Spec::of(Kind::Square), options: BatchOptions::default() };
    let submit = Submit {
        key: Key::new(9),
        part: 0,
        last: true,
        head: Some(Box::new(head)),
        args: Args::Listed([&b"1"[..], b"2"].into_iter().collect()),
    };
    let matching = Select::Matching("state:failed cmd:x".parse().unwrap());
    let invite = Invite {
        role: Role::Worker,
        name: None,
        uses: 1,
        ttl_ms: 1_000,
        replaces: None,
        again: false,
    };
    let request = |request| of(4, &ClientMessage::Request { tag: 1, request });
    let piece = Piece {
        stream: Stream::Stdout,
        offset: 5,
        skipped: 5,
        at: WallMs(0),
        bytes: b"text".to_vec(),
    };
    let refused: Result<Followed, Refusal> = Err(Refusal::NoTask(TaskId::new(1)));
    let followed: Result<Followed, Refusal> = Ok(Followed::Piece(piece.clone()));
    vec![
        request(Request::Submit(submit)),
        request(Request::Cancel { select: matching, now: false }),
        request(Request::Retry { select: Select::Tasks(vec![TaskId::new(1), TaskId::new(2)]) }),
        request(Request::Invite(invite)),
        request(Request::Status),
        of(4, &ClientMessage::Seen { number: 4 }),
        of(5, &ToClient::Reply { tag: 1, result: Ok(Reply::Ok) }),
        of(5, &ToClient::Pulse),
        of(7, &FollowHeader { tag: 3 }),
        of(8, &followed),
        of(8, &refused),
        of(9, &piece),
    ]
}

fn joining() -> Vec<Vec<u8>> {
    let wish = Wish::Host(name("w"));
    let request = JoinRequest { invite: [1; 8], secret: [2; 16], wish, csr: vec![0x30, 0] };
    let granted = Granted {
        role: Role::Worker,
        name: name("w"),
        certificate: vec![0x30, 0],
        authorities: vec![vec![0x30, 0].into()],
    };
    vec![of(10, &request), of(11, &JoinAnswer::Granted(granted)), of(11, &JoinAnswer::Busy)]
}

fn records() -> Vec<Vec<u8>> {
    let by = Actor { role: Role::Operator, name: name("admin"), admin: true };
    let actor = Actor { role: Role::Worker, name: name("w"), admin: false };
    let certificate =
        Certified { actor, serial: vec![0x41, 2], key: [3; 32], ends: WallMs(90 * 86_400_000) };
    let invited = InviteEntry {
        id: [1; 8],
        secret_hash: [2; 32],
        role: Role::Worker,
        name: None,
        uses: 2,
        expires: WallMs(3_600_000),
        by: by.clone(),
        replaces: Some([1; 8]),
    };
    let joined = JoinedEntry {
        invite: [1; 8],
        wish: Wish::Named(name("w")),
        from: "10.0.0.1".to_owned(),
        certificate: certificate.clone(),
        der: vec![0x30, 0],
    };
    let (role, reason) = (Role::Worker, "lost".to_owned());
    let entries = [
        Entry::Began { cluster: name("host-ab12") },
        Entry::Invited(invited),
        Entry::Joined(joined),
        Entry::Issued { certificate },
        Entry::Revoked { role, name: name("w"), reason, by },
    ];
    entries.into_iter().map(|entry| Record { at: WallMs(1_000), entry }.encode()).collect()
}

fn trust_seeds() -> Vec<Vec<u8>> {
    let (mut file, mut last) = (vec![0], genesis(&[1; 32]));
    let mut cut = vec![2];
    for record in records() {
        let (written, hash) = entry(u32::try_from(record.len()).unwrap(), &last, &record);
        file.extend(written);
        last = hash;
        cut.push(u8::try_from(record.len()).unwrap());
        cut.extend(record);
    }
    let damaged = |damage: [u8; 3]| [&[1][..], &damage, &cut[1..]].concat();
    let torn = file[..file.len() - 5].to_vec();
    vec![file, torn, cut.clone(), damaged([9, 0, 1]), damaged([80, 1, 0]), damaged([255, 255, 8])]
}

/// Certificates of each kind, and requests; the keys are made anew each time.
fn certificate_seeds() -> Vec<Vec<u8>> {
    let (cluster, now) = (name("host-ab12"), WallMs(1_700_000_000_000));
    let (root, key) = Ca::make(&cluster, now).unwrap();
    let ca = Ca::load(cluster.clone(), 1, root.clone(), &key).unwrap();
    let mut seeds = vec![root.to_vec()];
    for subject in [Subject::Master, Subject::Client(Role::Worker), Subject::Client(Role::Viewer)] {
        let key = KeyPair::generate().unwrap();
        seeds.push(ca.sign(ca.leaf(subject, &name("w"), now), &key).unwrap().to_vec());
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        seeds.push(request.der().to_vec());
    }
    seeds
}

fn token_seeds() -> Vec<Vec<u8>> {
    let inside = |count: u8, addresses: &[&str]| {
        let mut bytes = vec![1];
        bytes.extend([7; 56]);
        bytes.extend(b"\x09host-ab12");
        bytes.push(count);
        for address in addresses {
            bytes.push(u8::try_from(address.len()).unwrap());
            bytes.extend(address.as_bytes());
        }
        bytes
    };
    let whole = inside(2, &["10.0.0.1:7433", "host:7433"]);
    let text = |bytes: &[u8]| {
        let sum = crate::pki::sha256(bytes);
        let text = bs58::encode([bytes, &sum[..4]].concat()).into_string();
        format!("\0ganger1{text}").into_bytes()
    };
    let zero = inside(0, &[]);
    vec![text(&whole[1..]), whole, zero, inside(1, &["a b:1"]), b"\0ganger1".to_vec()]
}

#[test]
#[ignore = "writes the first files of the corpora"]
fn plant_seeds() {
    let messages = [hello(), workers(), clients(), joining()].concat();
    let framed = |step: u8, bodies: &[Vec<u8>]| {
        let frames = bodies.iter().flat_map(|body| {
            let length = u32::try_from(body.len() - 1).unwrap();
            [&length.to_le_bytes()[..], &body[1..]].concat()
        });
        std::iter::once(step).chain(frames).collect::<Vec<u8>>()
    };
    let too_long = [&[0][..], &u32::MAX.to_le_bytes()].concat();
    let frames = messages.chunks(5).zip(0..).map(|(some, step)| framed(step, some));
    plant("frame", frames.chain([too_long, vec![3, 0, 0, 0, 0, 9, 0]]));
    plant("message", messages.clone());
    plant("token", token_seeds());
    plant("certificate", certificate_seeds());
    plant("trust", trust_seeds());
}
