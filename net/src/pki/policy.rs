//! Who may do what: one table, default deny. What belongs to whom is checked by the engine.

use ganger_proto::{Actor, Refusal, Request, Role};

/// What a request does, as the role table sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Submit,
    Change,
    Look,
    Operate,
    Invite,
    Stop,
}

impl Operation {
    /// The table: which roles may do it.
    const fn allows(self, role: Role) -> bool {
        match (self, role) {
            (_, Role::Operator) => true,
            (Self::Submit | Self::Change | Self::Look, Role::Submitter) => true,
            (Self::Look, Role::Viewer) => true,
            (_, Role::Worker | Role::Viewer | Role::Submitter) => false,
        }
    }
}

/// Tells whether the actor's role may ask for this at all. The engine then checks what belongs to
/// whom.
///
/// # Errors
/// Names the operation and the role.
pub fn check(actor: &Actor, request: &Request) -> Result<(), Refusal> {
    let (operation, phrase) = classify(request);
    if operation.allows(actor.role) {
        return Ok(());
    }
    Err(Refusal::Forbidden { operation: phrase.to_owned(), role: actor.role })
}

fn classify(request: &Request) -> (Operation, &'static str) {
    match request {
        Request::Submit(_) => (Operation::Submit, "submit tasks"),
        Request::Cancel { .. } => (Operation::Change, "cancel tasks"),
        Request::Retry { .. } => (Operation::Change, "retry tasks"),
        Request::Delete { .. } => (Operation::Change, "delete tasks"),
        Request::SetPriority { .. } => (Operation::Change, "change priorities"),
        Request::Pause { .. } | Request::Resume { .. } => {
            (Operation::Operate, "pause or resume a queue")
        }
        Request::Drain { .. } | Request::Undrain { .. } => (Operation::Operate, "drain a worker"),
        Request::Revoke { .. } => (Operation::Invite, "revoke an identity"),
        Request::Invite(_) => (Operation::Invite, "invite anybody"),
        Request::StartLocalWorker { .. } => (Operation::Operate, "start a worker"),
        Request::Stop { .. } => (Operation::Stop, "stop the master"),
        Request::Log { .. } => (Operation::Operate, "read the master's log"),
        Request::Events { .. } => (Operation::Look, "read events"),
        Request::Status
        | Request::Queues
        | Request::Workers
        | Request::Batches { .. }
        | Request::List { .. }
        | Request::Show { .. }
        | Request::Results { .. }
        | Request::Output { .. }
        | Request::Wait { .. } => (Operation::Look, "look at the queue"),
        _ => (Operation::Stop, "ask for what this version does not know"),
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Name, Select};

    use super::*;

    #[test]
    fn every_cell_of_the_table() {
        let select = Select::Tasks(vec![]);
        let queue = Name::parse("default").unwrap();
        let look = Request::Status;
        let change = Request::Cancel { select, now: false };
        let operate = Request::Pause { queue };
        let stop = Request::Stop { now: false };
        let check = |role, request: &Request| {
            let actor = Actor { role, name: Name::parse("x").unwrap(), admin: false };
            check(&actor, request).is_ok()
        };
        let row = |role| [&look, &change, &operate, &stop].map(|request| check(role, request));
        assert_eq!(row(Role::Worker), [false, false, false, false]);
        assert_eq!(row(Role::Viewer), [true, false, false, false]);
        assert_eq!(row(Role::Submitter), [true, true, false, false]);
        assert_eq!(row(Role::Operator), [true, true, true, true]);
    }
}
