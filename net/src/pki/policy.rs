//! Who may do what: one table, default deny. What belongs to whom, and which queues a submitter may
//! use, is the engine's to check.

use ganger_proto::{Actor, Refusal, Request, Role};

/// Tells whether the actor's role may ask for this at all. The engine then checks what belongs to
/// whom.
///
/// # Errors
/// Names the operation and the role.
pub fn check(actor: &Actor, request: &Request) -> Result<(), Refusal> {
    let (operation, who) = rule(request);
    let may = match who {
        Who::Readers => match actor.role {
            Role::Viewer | Role::Submitter | Role::Operator => true,
            Role::Worker => false,
        },
        Who::Watchers => match actor.role {
            Role::Viewer | Role::Operator => true,
            Role::Worker | Role::Submitter => false,
        },
        Who::Owners => match actor.role {
            Role::Submitter | Role::Operator => true,
            Role::Worker | Role::Viewer => false,
        },
        Who::Operators => match actor.role {
            Role::Operator => true,
            Role::Worker | Role::Viewer | Role::Submitter => false,
        },
        Who::Administrators => actor.role == Role::Operator && actor.admin,
        Who::Nobody => false,
    };
    if may {
        return Ok(());
    }
    Err(Refusal::Forbidden { operation: operation.to_owned(), role: actor.role })
}

/// Tells whether the actor's role may watch pictures: they show everybody's tasks.
///
/// # Errors
/// Names the operation and the role.
pub fn may_watch(actor: &Actor) -> Result<(), Refusal> {
    match actor.role {
        Role::Viewer | Role::Operator => Ok(()),
        Role::Worker | Role::Submitter => Err(Refusal::Forbidden {
            operation: "watch the screen, which shows the tasks of all".to_owned(),
            role: actor.role,
        }),
    }
}

/// The columns of the role table that may do an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Everyone who reads; a submitter only its own and totals.
    Readers,
    /// Those who may see all.
    Watchers,
    /// Those who have tasks; a submitter only for its own.
    Owners,
    /// Operators.
    Operators,
    /// Operators whom the registry marks as the home's own administrator.
    Administrators,
    /// Nobody.
    Nobody,
}

/// The rows of the role table: how each operation is called, and who may ask for it.
const fn rule(request: &Request) -> (&'static str, Who) {
    match request {
        Request::Submit(_) => ("submit tasks", Who::Owners),
        Request::Cancel { .. } => ("cancel tasks", Who::Owners),
        Request::Retry { .. } => ("retry tasks", Who::Owners),
        Request::Delete { .. } => ("delete tasks", Who::Owners),
        Request::SetPriority { .. } => ("change priorities", Who::Owners),
        Request::Pause { .. } => ("pause queues", Who::Operators),
        Request::Resume { .. } => ("resume queues", Who::Operators),
        Request::Drain { .. } => ("drain workers", Who::Operators),
        Request::Undrain { .. } => ("undrain workers", Who::Operators),
        Request::SetSlots { .. } => ("change slots", Who::Operators),
        Request::Revoke { role: Role::Operator, .. } => ("revoke operators", Who::Administrators),
        Request::Revoke { .. } => ("revoke identities", Who::Operators),
        Request::Invite(invite) => match invite.role {
            Role::Operator => ("invite operators", Who::Administrators),
            Role::Worker | Role::Viewer | Role::Submitter => ("invite others", Who::Operators),
        },
        Request::Status => ("see the master's status", Who::Readers),
        Request::Queues => ("list queues", Who::Readers),
        Request::Workers { .. } => ("list workers", Who::Watchers),
        Request::Worker { .. } => ("see workers", Who::Watchers),
        Request::Why { .. } => ("see why tasks wait", Who::Readers),
        Request::Batches { .. } => ("list batches", Who::Readers),
        Request::List { .. } => ("list tasks", Who::Readers),
        Request::Show { .. } => ("see tasks", Who::Readers),
        Request::Results { .. } => ("read results", Who::Readers),
        Request::Ends { .. } => ("follow the ends of tasks", Who::Readers),
        Request::Output { .. } => ("read output", Who::Readers),
        Request::Follow { .. } => ("follow output", Who::Readers),
        Request::Wait { .. } => ("wait for batches", Who::Readers),
        Request::Events { .. } => ("read events", Who::Watchers),
        Request::Log { .. } => ("read the master's log", Who::Watchers),
        Request::StartLocalWorker { .. } => ("start a local worker", Who::Administrators),
        Request::Stop { .. } => ("stop the master", Who::Operators),
        Request::Audit { .. } => ("read the audit", Who::Operators),
        Request::CheckTrust => ("check the trust log", Who::Operators),
        Request::Identities { .. } => ("list identities", Who::Operators),
        Request::Authority => ("see the authority", Who::Operators),
        Request::Rotate(_) => ("change the authority", Who::Administrators),
        // A request that this release does not know is refused.
        _ => ("ask that of this release", Who::Nobody),
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::audit::AuditPlace;
    use ganger_proto::command::{Invite, Stream, Submit};
    use ganger_proto::identity::Rotation;
    use ganger_proto::{Args, BatchId, Filter, Key, Name, Select, TaskId};

    use super::*;

    /// One request of each kind; those that depend on a role once for each.
    #[expect(clippy::too_many_lines, reason = "a table: a request of each kind")]
    fn all() -> Vec<(&'static str, Request)> {
        let name = || Name::parse("x").unwrap();
        let select = || Select::Batch(BatchId::new(1));
        let invite = |role| {
            Request::Invite(Invite {
                role,
                name: None,
                uses: 1,
                ttl_ms: 1,
                replaces: None,
                again: false,
            })
        };
        let revoke = |role| Request::Revoke { name: name(), role, reason: String::new() };
        let submit = Submit {
            key: Key::new(1),
            part: 0,
            last: true,
            head: None,
            args: Args::Repeat { count: 1 },
        };
        let output = Request::Output {
            task: TaskId::new(1),
            attempt: None,
            stream: Stream::Stdout,
            offset: 0,
        };
        let ends = Request::Ends { batch: BatchId::new(1), told: Vec::new(), rows: 1 };
        let list = Request::List { filter: Filter::default(), after: TaskId::new(0), rows: 1 };
        let results = Request::Results { batch: None, after: TaskId::new(0), rows: 1 };
        vec![
            ("submit", Request::Submit(submit)),
            ("cancel", Request::Cancel { select: select(), now: false }),
            ("retry", Request::Retry { select: select() }),
            ("delete", Request::Delete { select: select() }),
            ("priority", Request::SetPriority { select: select(), priority: 1 }),
            ("pause", Request::Pause { queue: name() }),
            ("resume", Request::Resume { queue: name() }),
            ("drain", Request::Drain { worker: name() }),
            ("undrain", Request::Undrain { worker: name() }),
            ("slots", Request::SetSlots { worker: name(), slots: 1 }),
            ("revoke worker", revoke(Role::Worker)),
            ("revoke submitter", revoke(Role::Submitter)),
            ("revoke viewer", revoke(Role::Viewer)),
            ("revoke operator", revoke(Role::Operator)),
            ("invite worker", invite(Role::Worker)),
            ("invite submitter", invite(Role::Submitter)),
            ("invite viewer", invite(Role::Viewer)),
            ("invite operator", invite(Role::Operator)),
            ("status", Request::Status),
            ("queues", Request::Queues),
            ("workers", Request::Workers { after: None }),
            ("worker", Request::Worker { name: name() }),
            ("why", Request::Why { task: TaskId::new(1) }),
            ("batches", Request::Batches { before: None, rows: 1 }),
            ("list", list),
            ("show", Request::Show { task: TaskId::new(1) }),
            ("results", results),
            ("ends", ends),
            ("output", output),
            ("follow", Request::Follow { task: TaskId::new(1), attempt: None }),
            ("wait", Request::Wait { batches: Vec::new() }),
            ("events", Request::Events { after: 0, rows: 1 }),
            ("log", Request::Log { rows: 1 }),
            ("local worker", Request::StartLocalWorker { slots: 1 }),
            ("stop", Request::Stop { now: false }),
            ("audit", Request::Audit { after: AuditPlace::default(), rows: 1 }),
            ("check trust", Request::CheckTrust),
            ("identities", Request::Identities { after: None, rows: 1 }),
            ("authority", Request::Authority),
            ("rotate", Request::Rotate(Rotation::Begin)),
        ]
    }

    /// Worker, viewer, submitter, operator, admin.
    const TABLE: &str = "
        submit            - - s o a
        cancel            - - s o a
        retry             - - s o a
        delete            - - s o a
        priority          - - s o a
        pause             - - - o a
        resume            - - - o a
        drain             - - - o a
        undrain           - - - o a
        slots             - - - o a
        revoke worker     - - - o a
        revoke submitter  - - - o a
        revoke viewer     - - - o a
        revoke operator   - - - - a
        invite worker     - - - o a
        invite submitter  - - - o a
        invite viewer     - - - o a
        invite operator   - - - - a
        status            - v s o a
        queues            - v s o a
        workers           - v - o a
        worker            - v - o a
        why               - v s o a
        batches           - v s o a
        list              - v s o a
        show              - v s o a
        results           - v s o a
        ends              - v s o a
        output            - v s o a
        follow            - v s o a
        wait              - v s o a
        events            - v - o a
        log               - v - o a
        local worker      - - - - a
        stop              - - - o a
        audit             - - - o a
        check trust       - - - o a
        identities        - - - o a
        authority         - - - o a
        rotate            - - - - a
    ";

    #[test]
    fn every_cell_of_the_role_table() {
        let columns = [
            ("-w", Role::Worker, false),
            ("-v", Role::Viewer, false),
            ("-s", Role::Submitter, false),
            ("-o", Role::Operator, false),
            ("-a", Role::Operator, true),
        ];
        let mut table = String::from("\n");
        for (word, request) in all() {
            let mut row = format!("        {word:<18}");
            for (sign, role, admin) in columns {
                let actor = Actor { role, name: Name::parse("x").unwrap(), admin };
                let answer = check(&actor, &request);
                if let Err(refusal) = &answer {
                    let says = refusal.to_string();
                    assert!(says.starts_with(&format!("a {role} may not ")), "{says}");
                }
                row.push_str(&sign[usize::from(answer.is_ok())..][..1]);
                row.push(' ');
            }
            table.push_str(row.trim_end());
            table.push('\n');
        }
        table.push_str("    ");
        println!("worker, viewer, submitter, operator, admin{table}");
        assert_eq!(table, TABLE);
    }
}
