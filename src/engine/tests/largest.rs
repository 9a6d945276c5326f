//! What fuzzers found: inputs that no client or worker of ours sends, and that ended the master.

use super::bench::check_heard;

/// A set of ids was made of what was asked for before anybody looked whether it is there, and the
/// end of a run of the largest number passes 64 bits.
#[test]
fn the_largest_number_is_no_task() {
    let why = "it may have been deleted or its retention has passed";
    for command in ["cancel", "kill", "retry", "delete"] {
        let most = u64::MAX;
        check_heard(
            &format!("submit 1; {command} {most}"),
            &format!("refused: there is no task {most}; {why}"),
        );
    }
}
