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
    let args = Args::Listed([argument.as_slice()].into_iter().collect());
    let run = GrantRun {
        lease: lease(1),
        task: TaskId::new(1),
        batch: BatchId::new(5),
        index: 0,
        attempt: 1,
        spec: SpecId::new(1),
        args,
    };
    let at = Attempt { lease: lease(1), slot: 0 };
    let start = Box::new(Start { at, run, spec: Arc::new(spec) });
    slot.orders.send(SlotOrder::Run(start)).await.unwrap();
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
