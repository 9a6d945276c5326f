//! A worker in a network namespace of its own, on the machine's real network code: its address
//! changes under a running task, and its link is down for a while. Says so where the system makes
//! no namespaces; the same without them is in network.rs.

use std::process::Command;

use tempfile::TempDir;

use crate::network::{Patient, past, silent_for};
use crate::rig::{Rig, WORKER, run, wait_for};

/// A namespace with one link to this one.
struct Namespace {
    name: String,
    /// This end of the link.
    link: String,
    /// The link's network, without the last number of an address.
    network: String,
}

impl Namespace {
    /// Makes one; says why when the system does not.
    fn make() -> Result<Self, String> {
        let pid = std::process::id();
        let made = Self {
            name: format!("ganger-{pid}"),
            link: format!("gx{pid}"),
            network: format!("10.213.{}", pid % 250),
        };
        made.ip(&format!("netns add {}", made.name))?;
        let Self { name, link, network } = &made;
        made.ip(&format!("link add {link} type veth peer name inside netns {name}"))?;
        made.ip(&format!("addr add {network}.1/24 dev {link}"))?;
        made.ip(&format!("link set {link} up"))?;
        made.ip(&format!("-n {name} addr add {network}.2/24 dev inside"))?;
        made.ip(&format!("-n {name} link set inside up"))?;
        made.ip(&format!("-n {name} link set lo up"))?;
        Ok(made)
    }

    fn ip(&self, words: &str) -> Result<(), String> {
        let mut command = Command::new("ip");
        command.args(words.split(' '));
        let said = run(command, b"");
        if said.code == 0 { Ok(()) } else { Err(format!("`ip {words}`: {}", said.err.trim())) }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // With the namespace goes its end of the link, and with that the other one.
        self.ip(&format!("netns del {}", self.name)).ok();
    }
}

#[test]
fn a_worker_in_a_namespace_changes_its_address_under_a_running_task() {
    if Command::new("ip").arg("-V").output().is_err() {
        return println!("skipped: there is no `ip` here");
    }
    let namespace = match Namespace::make() {
        Ok(namespace) => namespace,
        Err(why) => return println!("skipped: the system makes no network namespace: {why}"),
    };
    let Namespace { name, link, network } = &namespace;
    let host = format!("{network}.1");
    let rig = Rig::listening(("0.0.0.0", &host), TempDir::new().unwrap(), "0");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name, WORKER]);
    let _far = rig.join_worker_by(command, &rig.token(), ("far", &["--slots", "1"]));
    let patient = Patient::submit(&rig);
    assert!(past(&rig, "far").1.starts_with(&format!("{network}.2:")));
    namespace.ip(&format!("-n {name} addr del {network}.2/24 dev inside")).unwrap();
    namespace.ip(&format!("-n {name} addr add {network}.3/24 dev inside")).unwrap();
    wait_for("the move", || {
        let (past, here) = past(&rig, "far");
        (past.contains("Moved") && here.starts_with(&format!("{network}.3:"))).then_some(())
    });
    namespace.ip(&format!("link set {link} down")).unwrap();
    silent_for(&rig, "far", 5_000);
    namespace.ip(&format!("link set {link} up")).unwrap();
    wait_for("the worker's word", || {
        let rows = rig.workers();
        (rows.first()?["beat_ms"].as_u64()? < 3_000).then_some(())
    });
    patient.let_go();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(patient.runs(), 1);
    assert_eq!(past(&rig, "far").0, "\"Moved\" \"Came\"", "the session went on");
}
