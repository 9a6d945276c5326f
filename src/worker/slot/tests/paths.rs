//! Paths that are looked at before a child starts.

use ganger_proto::form::{ArgForm, Columns, Paths, Seen};

use super::*;

/// Runs `cat` with an argument that is joined of what was seen and these columns.
async fn cat(
    slot: &mut TestSlot,
    form: ArgForm,
    seen: Option<Seen>,
    columns: &[&str],
) -> AttemptEnded {
    let mut argument = Vec::new();
    let columns: Vec<&[u8]> = columns.iter().map(|column| column.as_bytes()).collect();
    form.join(7, seen, &columns, &mut argument);
    let argv = ["cat", "{}"].map(|word| Template::from_text(word).unwrap()).to_vec();
    let spec = Spec { form, ..Spec::of(Kind::Exec { argv }) };
    slot.start_spec(1, spec, Args::Listed([argument.as_slice()].into_iter().collect())).await;
    slot.ends.recv().await.unwrap()
}

#[tokio::test]
async fn a_path_is_looked_at_before_its_task_starts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().canonicalize().unwrap().join("data");
    fs::create_dir(&data).unwrap();
    let (file, outside) = (data.join("file"), data.with_file_name("outside"));
    fs::write(&file, "inside").unwrap();
    fs::write(&outside, "outside").unwrap();
    let (file, outside) = (file.to_str().unwrap(), outside.to_str().unwrap());
    let mut slot = TestSlot::in_dir(dir.path(), Policy { roots: vec![data], ..quick() });

    let below = ArgForm { paths: Paths::BelowRoots, ..ArgForm::default() };
    let ended = cat(&mut slot, below.clone(), None, &[file]).await.ended;
    assert_eq!((ended.outcome, ended.stdout.as_slice()), (Outcome::Done, &b"inside"[..]));
    let ended = cat(&mut slot, below, None, &[outside]).await.ended;
    assert_eq!(ended.outcome, Outcome::Unfit);
    assert!(ended.message.contains("is not below a root of mill"), "{}", ended.message);
    assert!(ended.stdout.is_empty(), "it did not start");

    let unseen = Seen { size: 1, mtime_ns: 0 };
    let seen = ArgForm { paths: Paths::AsSeen, numbered: true, ..ArgForm::default() };
    let ended = cat(&mut slot, seen.clone(), Some(unseen), &[file]).await.ended;
    assert_eq!(ended.outcome, Outcome::Failed { code: 1 });
    assert!(ended.message.contains("changed since it was submitted"), "{}", ended.message);
    // Of several columns the first is the path.
    let several = ArgForm { columns: Columns::Many { count: 2, names: Vec::new() }, ..seen };
    let ended = cat(&mut slot, several, Some(unseen), &[file, outside]).await.ended;
    assert!(ended.message.starts_with(file), "{}", ended.message);
    slot.close().await;
}

#[tokio::test]
async fn a_task_without_a_form_is_about_no_path() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let file = dir.path().join("file");
    let mut slot = TestSlot::in_dir(dir.path(), Policy { roots: Vec::new(), ..quick() });
    let ended = cat(&mut slot, ArgForm::default(), None, &[file.to_str().unwrap()]).await.ended;
    assert_eq!(ended.outcome, Outcome::Done);
    slot.close().await;
}

/// The file that was checked is handed on open: whoever swaps what its path leads to after the
/// check changes what the name gives, and not what `GANGER_FILE` gives.
#[tokio::test]
async fn the_file_that_was_checked_is_handed_on() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let (file, outside) = (top.join("data/file"), top.join("outside"));
    fs::create_dir(top.join("data")).unwrap();
    fs::write(&file, "inside").unwrap();
    fs::write(&outside, "outside").unwrap();
    let (begun, go) = (fifo_at(&top.join("begun")), fifo_at(&top.join("go")));
    let roots = vec![top.join("data")];
    let caps = crate::worker::Caps { open_files: Some(64), ..Default::default() };
    // Straight, and through an entry.
    for policy in [Policy { roots: roots.clone(), ..quick() }, Policy { roots, caps, ..quick() }] {
        let mut slot = TestSlot::in_dir(&top.join("home"), policy);
        let script = "echo >../../begun; read -r x <../../go; cat \"$GANGER_FILE\"; cat \"$1\"";
        let argv = ["sh", "-c", script, "sh", "{}"];
        let argv = argv.map(|word| Template::from_text(word).unwrap()).to_vec();
        let form = ArgForm { paths: Paths::BelowRoots, ..ArgForm::default() };
        let spec = Spec { form, ..Spec::of(Kind::Exec { argv }) };
        let argument = file.as_os_str().as_encoded_bytes();
        slot.start_spec(1, spec, Args::Listed([argument].into_iter().collect())).await;
        lines(&mut BufReader::new(begun.try_clone().unwrap()), 1).await;
        fs::rename(&file, top.join("kept")).unwrap();
        std::os::unix::fs::symlink(&outside, &file).unwrap();
        std::io::Write::write_all(&mut &go, b"\n").unwrap();
        let ended = slot.ends.recv().await.unwrap().ended;
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(text.ends_with("insideoutside"), "{text} {}", ended.message);
        fs::rename(top.join("kept"), &file).unwrap();
        // The next child does not have it.
        let end = slot.run(&["ls", "-l", "/proc/self/fd"], |_| {}).await.ended;
        let text = String::from_utf8_lossy(&end.stdout).into_owned();
        assert!(!text.contains("data/file") && !text.contains("kept"), "{text}");
        slot.close().await;
    }
}
