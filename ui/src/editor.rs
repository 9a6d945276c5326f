//! A text in the person's own editor, by way of a file that only they can read. Knows no form.

use std::env::var_os;
use std::fs;
use std::io::Write as _;

use tokio::process::Command;

use crate::model::field::FIELD_BYTES_MAX;

/// Opens the text in `$VISUAL`, else `$EDITOR`, else vi; returns what was saved.
pub(crate) async fn edit(text: &str) -> Result<String, String> {
    let set = |name| var_os(name).filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    edit_with(&editor.to_string_lossy(), text).await
}

async fn edit_with(editor: &str, text: &str) -> Result<String, String> {
    let cannot = |error| format!("no file for the editor can be made: {error}");
    // Mode 0600, removed when it is dropped.
    let mut file =
        tempfile::Builder::new().prefix("ganger-").suffix(".txt").tempfile().map_err(cannot)?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(cannot)?;
    // The shell reads the variable, as it may hold options. Ctrl-C is the editor's affair, so the
    // shell catches it; what it ignored, the editor would ignore too.
    let mut child = Command::new("sh");
    child.arg("-c").arg(format!("trap : INT QUIT; {editor} \"$1\"")).arg("sh").arg(file.path());
    let status = child.kill_on_drop(true).status().await;
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            let how = match status.code() {
                Some(127) => "cannot be found; set $EDITOR".to_owned(),
                Some(code) => format!("ended with {code}"),
                None => "was killed".to_owned(),
            };
            return Err(format!("the editor `{editor}` {how}; nothing was changed"));
        }
        Err(error) => return Err(format!("the editor `{editor}` cannot be run: {error}")),
    }
    saved(file.path())
}

/// Reads what was saved; editors may have put another file in its place.
fn saved(path: &std::path::Path) -> Result<String, String> {
    let cannot = |error| format!("what the editor saved cannot be read: {error}");
    let bytes = fs::metadata(path).map_err(cannot)?.len();
    if bytes > FIELD_BYTES_MAX as u64 {
        return Err("the text is over 8 MiB; choose the source from file for it".to_owned());
    }
    let saved = fs::read(path).map_err(cannot)?;
    String::from_utf8(saved)
        .map_err(|_| "the text is not UTF-8; choose the source from file for it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_editor_changes_the_text_or_says_why_not() {
        let edited = edit_with("sed -i s/one/two/", "one").await;
        assert_eq!(edited, Ok("two\n".to_owned()));
        // Many editors write another file and give it the name.
        let script = "f() { printf three >\"$1.new\"; mv \"$1.new\" \"$1\"; }; f";
        assert_eq!(edit_with(script, "one").await, Ok("three".to_owned()));
        let error = edit_with("/nowhere/vim", "one").await.unwrap_err();
        assert!(error.contains("`/nowhere/vim` cannot be found; set $EDITOR"), "{error}");
        let error = edit_with("false", "one").await.unwrap_err();
        assert!(error.contains("ended with 1; nothing was changed"), "{error}");
        let error = edit_with("printf '\\377' >", "one").await.unwrap_err();
        assert!(error.contains("not UTF-8"), "{error}");
    }

    /// Ctrl-C in an editor is sent to the shell around it as well, which ended and said that the
    /// editor was killed.
    #[tokio::test]
    async fn an_interrupt_is_the_editors_affair() {
        let script = "f() { kill -INT $$; printf two >\"$1\"; }; f";
        assert_eq!(edit_with(script, "one").await, Ok("two".to_owned()));
    }

    #[tokio::test]
    async fn nobody_else_reads_the_file() {
        let mode = edit_with("f() { stat -c %a \"$1\" >\"$1.m\"; mv \"$1.m\" \"$1\"; }; f", "x");
        assert_eq!(mode.await, Ok("600\n".to_owned()));
    }
}
