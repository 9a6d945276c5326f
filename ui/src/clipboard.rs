//! Copies to a clipboard, and the sentences that say honestly what was done. Does not know what is
//! copied.

use std::io;
use std::process::Stdio;

use crossterm::clipboard::CopyToClipboard;
use crossterm::execute;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Bytes that terminals take in one OSC 52 copy.
const OSC52_BYTES_MAX: usize = 74_994;

/// What can take a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clipboard {
    /// The terminal, by OSC 52.
    #[default]
    Terminal,
    /// tmux, which passes it on to its terminal.
    Tmux,
}

/// Sends a copy to the terminal; nobody learns whether it was taken.
pub(crate) fn to_terminal(text: &str) -> Result<String, String> {
    if text.len() > OSC52_BYTES_MAX {
        return Err(format!(
            "{} bytes are more than a terminal's clipboard takes ({OSC52_BYTES_MAX})",
            text.len()
        ));
    }
    match execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text)) {
        Ok(()) => Ok(format!(
            "{} bytes sent to the terminal's clipboard (OSC 52; some terminals ask or refuse)",
            text.len()
        )),
        Err(error) => Err(format!("nothing was copied: {error}")),
    }
}

/// Puts a copy into tmux, which passes it on where `set-clipboard` allows.
pub(crate) async fn to_tmux(text: &str) -> Result<String, String> {
    let loaded = async {
        let mut child = Command::new("tmux")
            .args(["load-buffer", "-w", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes()).await?;
        }
        child.wait().await
    };
    match loaded.await {
        Ok(status) if status.success() => {
            Ok(format!("{} bytes put in tmux's buffer and its terminal's clipboard", text.len()))
        }
        Ok(status) => Err(format!("nothing was copied: tmux load-buffer ended with {status}")),
        Err(error) => Err(format!("nothing was copied: tmux cannot be run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_would_cut_is_not_sent() {
        let error = to_terminal(&"x".repeat(OSC52_BYTES_MAX + 1)).unwrap_err();
        assert!(error.contains("74995 bytes are more"), "{error}");
    }
}
