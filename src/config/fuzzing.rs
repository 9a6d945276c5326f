//! `ganger.toml` and `master.json`: any text is settings or an error that names its line; see
//! `src/fuzzing/mod.rs`.

use std::net::SocketAddr;
use std::path::Path;

use super::{ConfigError, GangerToml, MasterFile, parse_listen, parse_store, parse_toml};

/// Reads the bytes as each of the two files.
///
/// # Panics
/// When an error names no line of the text, or a file is not read as it was written.
pub fn check(bytes: &[u8]) {
    if let Ok(file) = serde_json::from_slice::<MasterFile>(bytes) {
        let dialled = file.dial_address().parse::<SocketAddr>();
        assert!(!dialled.is_ok_and(|at| at.ip().is_unspecified()), "{file:?}");
        let written = serde_json::to_vec_pretty(&file).expect("strings and numbers are JSON");
        assert_eq!(serde_json::from_slice::<MasterFile>(&written).ok(), Some(file));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_toml::<GangerToml>(Path::new("ganger.toml"), text) {
        Ok(settings) => {
            let home = Path::new("/home");
            for text in settings.listen.iter().chain(&settings.store) {
                let _address = parse_listen(text, "--listen");
                if let Err(error) = parse_store(text, "ganger.toml", home) {
                    assert!(error.to_string().contains("sqlite:PATH"), "{error}");
                }
            }
        }
        Err(ConfigError::File { line, reason, .. }) => {
            assert!((1..=text.split('\n').count()).contains(&line), "line {line}: {reason}");
            assert!(!reason.contains('\n'), "{reason:?} is one line");
        }
        Err(error) => panic!("a text has only lines: {error}"),
    }
}
