//! What a slot shows of its child while it runs.

use ganger_proto::WallMs;
use ganger_proto::command::Stream;
use ganger_proto::follow::{Cursor, Held, Piece};

use super::*;

impl TestSlot {
    async fn follow(&self, counter: u64) -> mpsc::Receiver<Piece> {
        let (to, pieces) = mpsc::channel(2);
        self.orders.send(SlotOrder::Follow(lease(counter), to)).await.unwrap();
        pieces
    }
}

fn text(piece: Piece) -> (Stream, String) {
    (piece.stream, String::from_utf8(piece.bytes).unwrap())
}

#[tokio::test]
async fn a_follower_gets_what_was_written_and_then_what_is() {
    let (dir, mut slot) = slot(Policy::local());
    // Held open, so that the child's second read does not see the first writer's end.
    let _open = fifo(dir.path());
    let path = dir.path().join("fifo");
    let go_on = || fs::write(&path, b"x\n").unwrap();
    let script = "echo early; echo oops >&2; read x <$0; echo late; read x <$0; echo last";
    let path_text = path.to_str().unwrap();
    slot.start(1, &["sh", "-c", script, path_text], |_| {}).await;
    let mut pieces = slot.follow(1).await;
    let first = pieces.recv().await.unwrap();
    assert_eq!(text(first), (Stream::Stdout, "early\n".to_owned()));
    assert_eq!(text(pieces.recv().await.unwrap()), (Stream::Stderr, "oops\n".to_owned()));
    go_on();
    let live = pieces.recv().await.unwrap();
    assert_eq!((live.offset, live.skipped), (6, 0));
    assert_ne!(live.at, WallMs(0), "it was read while it was followed");
    assert_eq!(text(live).1, "late\n");
    // Another follower begins at the start, in place of the one before.
    let mut again = slot.follow(1).await;
    let early = again.recv().await.unwrap();
    assert_eq!((early.offset, early.at), (0, WallMs(0)));
    assert_eq!(text(early).1, "early\nlate\n");
    assert!(pieces.recv().await.is_none());
    slot.orders.send(SlotOrder::Unfollow(lease(1))).await.unwrap();
    while again.recv().await.is_some() {}
    go_on();
    let end = slot.ends.recv().await.unwrap().ended;
    assert_eq!(end.stdout, b"early\nlate\nlast\n");
    assert!(slot.follow(1).await.recv().await.is_none(), "it has ended");
    slot.close().await;
}

#[tokio::test]
async fn a_slow_follower_holds_up_nothing_and_misses_what_is_counted() {
    const TOTAL: usize = 32 << 20;
    let (dir, mut slot) = slot(Policy::local());
    drop(fifo(dir.path()));
    let path = dir.path().join("fifo");
    let script = "head -c 4096 /dev/zero; read x <$0; head -c 33550336 /dev/zero";
    let path_text = path.to_str().unwrap();
    slot.start(1, &["sh", "-c", script, path_text], |_| {}).await;
    let mut pieces = slot.follow(1).await;
    let mut cursor = Cursor::default();
    let (mut got, mut missed) = (0, 0);
    let mut take = |piece: Option<Piece>| {
        let piece = piece.and_then(|piece| cursor.take(piece));
        got += piece.as_ref().map_or(0, |piece| piece.bytes.len());
        missed += piece.map_or(0, |piece| piece.skipped as usize);
        cursor
    };
    take(pieces.recv().await);
    fs::write(&path, b"x\n").unwrap();
    // Nobody takes a piece, and the child comes to its end.
    let end = slot.ends.recv().await.unwrap();
    while let Some(piece) = pieces.recv().await {
        take(Some(piece));
    }
    let (header, bytes) = end.output.unwrap();
    let (head, tail) = bytes.split_at(header.stdout.head as usize);
    let held = Held { head, skipped: header.stdout.skipped, tail: [tail, &[]] };
    loop {
        let next = take(None).next(Stream::Stdout);
        let Some((offset, bytes)) = held.from(next) else { break };
        let (stream, at) = (Stream::Stdout, WallMs(0));
        take(Some(Piece { stream, offset, skipped: 0, at, bytes }));
    }
    let _ended = take;
    assert_eq!(got + missed, TOTAL);
    assert!(missed > 0 && got <= OUTPUT_HEAD_BYTES + OUTPUT_TAIL_BYTES + (2 << 16), "{got}");
    slot.close().await;
}
