//! The `ganger` program: screen, commands, master, local worker. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ganger::cli::main()
}
