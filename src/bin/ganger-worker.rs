//! The `ganger-worker` program: takes tasks without a terminal. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ganger::cli::worker::main()
}
