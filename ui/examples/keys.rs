//! Prints the table of keys for the README.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(ganger_ui::key_table().as_bytes())
}
