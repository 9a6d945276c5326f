//! Frames: however the bytes come, the same frames come out, none longer than it may be, and none
//! before all of it has come.

use bytes::{Bytes, BytesMut};
use ganger_proto::limits::FRAME_BYTES_MAX;

use crate::frame::{FrameError, decode, encode, split};

/// Bytes before a frame's body.
const LENGTH_BYTES: usize = 4;

/// Takes the first byte for how many come at a time, and the others for frames.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let (whole, end) = frames(bytes, bytes.len().max(1));
    let (parts, other_end) = frames(bytes, usize::from(*step % 64) + 1);
    assert_eq!(parts, whole);
    assert_eq!(other_end, end);
    let mut at = 0;
    for body in &whole {
        assert!(body.len() <= FRAME_BYTES_MAX);
        at += LENGTH_BYTES;
        assert_eq!(bytes.get(at..at + body.len()), Some(&body[..]));
        at += body.len();
        check_body(body);
    }
    match end {
        End::Waits(left) => assert_eq!(left, bytes.len() - at),
        End::TooLarge(length) => assert!(length > FRAME_BYTES_MAX),
    }
}

/// What follows the last whole frame.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// So many bytes, which are no whole frame.
    Waits(usize),
    /// A frame that says it is so long.
    TooLarge(usize),
}

fn frames(bytes: &[u8], step: usize) -> (Vec<Bytes>, End) {
    let mut found = Vec::new();
    let mut held = BytesMut::new();
    for piece in bytes.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            match split(&mut held) {
                Ok(Some(body)) => found.push(body),
                Ok(None) => break,
                Err(FrameError::TooLarge { bytes }) => return (found, End::TooLarge(bytes)),
                Err(error) => panic!("only a length can be wrong: {error}"),
            }
        }
    }
    (found, End::Waits(held.len()))
}

/// A body within a message comes back as the frame of that message.
fn check_body(body: &[u8]) {
    let frame = encode(&serde_bytes::Bytes::new(body)).expect("it is no longer than it was");
    let mut held = BytesMut::from(&frame[..]);
    let found = split(&mut held).expect("our own length is right").expect("it is whole");
    let bytes = decode::<serde_bytes::ByteBuf>(&found).expect("what we encode we decode");
    assert_eq!(bytes, body);
    assert!(held.is_empty());
}
