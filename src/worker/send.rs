//! Sends the kept output of an attempt to the master, on a stream of its own: what is in memory,
//! and what was spooled. Does not decide what is sent when; see core.rs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use ganger_net::client::Backoff;
use ganger_net::session::Session;
use ganger_net::streams::{ToStream, Unwanted};
use ganger_proto::command::Stream;
use ganger_proto::limits::OUTPUT_HEAD_BYTES;
use ganger_proto::message::{Kept, OutputHeader, WorkerStream};
use tokio::task::spawn_blocking;

use super::spool;

/// Bytes read and sent at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How often an output that the master does not take is sent on one connection.
const TRIES_MAX: u32 = 8;

/// An output to send.
pub(super) struct Sending {
    pub(super) session: Session,
    pub(super) run_dir: PathBuf,
    pub(super) header: OutputHeader,
    /// What is in memory: head and tail of stdout, then of stderr. Gone when nobody wants it sent
    /// any more.
    pub(super) bytes: Weak<Vec<u8>>,
}

/// An output did not arrive.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    /// The master does not take it, or the connection ends.
    #[error(transparent)]
    Unwanted(#[from] Unwanted),
    /// What was spooled cannot be read.
    #[error("what was spooled cannot be read: {0}")]
    Spool(#[from] io::Error),
}

impl Sending {
    /// Sends until it has arrived, the connection ends, or nobody wants it sent any more.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::default();
        for _ in 0..TRIES_MAX {
            let Some(bytes) = self.bytes.upgrade() else { return };
            let Err(why) = self.once(&bytes).await else { return };
            drop(bytes);
            let lease = self.header.lease;
            tracing::warn!(%lease, %why, "an output did not arrive and is sent again");
            tokio::select! {
                _ = self.session.closed() => return,
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
    }

    async fn once(&self, bytes: &Arc<Vec<u8>>) -> Result<(), NotSent> {
        let OutputHeader { lease, stdout, stderr } = self.header;
        let opened = self.session.open_stream(&WorkerStream::Output(self.header)).await;
        let mut to = opened.map_err(|_| Unwanted)?;
        let mut rest = bytes.as_slice();
        for (stream, kept) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
            let (head, tail) = in_memory(&kept);
            let (first, after) = rest.split_at(head.min(rest.len()));
            let (last, after) = after.split_at(tail.min(after.len()));
            rest = after;
            send_bytes(&mut to, first).await?;
            if kept.beyond() > 0 {
                let file = spool::file_of(&self.run_dir, lease, stream);
                send_file(&mut to, &file, kept.beyond()).await?;
            }
            send_bytes(&mut to, last).await?;
        }
        Ok(to.arrived().await?)
    }
}

/// Returns how many bytes of head and tail are in memory.
fn in_memory(kept: &Kept) -> (usize, usize) {
    let head = usize::try_from(kept.head).unwrap_or(usize::MAX).min(OUTPUT_HEAD_BYTES);
    (head, kept.tail as usize)
}

async fn send_bytes(to: &mut ToStream, bytes: &[u8]) -> Result<(), Unwanted> {
    for chunk in bytes.chunks(CHUNK_BYTES) {
        to.send_raw(chunk.to_vec().into()).await?;
    }
    Ok(())
}

async fn send_file(to: &mut ToStream, path: &Path, length: u64) -> Result<(), NotSent> {
    let path = path.to_owned();
    let mut file = blocking(move || File::open(path)).await?;
    let mut left = length;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let mut chunk = vec![0; size];
        (file, chunk) = blocking(move || {
            file.read_exact(&mut chunk)?;
            Ok((file, chunk))
        })
        .await?;
        to.send_raw(chunk.into()).await?;
        left -= size as u64;
    }
    Ok(())
}

/// A disk that does not answer holds up this output and nothing else.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(act).await.map_err(io::Error::other)?
}
