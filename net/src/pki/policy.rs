//! Who may do what: one table, default deny.

use ganger_proto::{Actor, Refusal, Request};

/// Tells whether the actor's role may ask for this at all. The engine then checks what belongs to
/// whom.
///
/// # Errors
/// Names the operation and the role.
pub fn check(_actor: &Actor, _request: &Request) -> Result<(), Refusal> {
    unimplemented!()
}
