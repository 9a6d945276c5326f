//! Kept outputs over the wire: whole, part by part, and those that do not keep to their headers.

use ganger_proto::LeaseId;
use ganger_proto::limits::{OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};
use ganger_proto::message::{Kept, OutputHeader, WorkerStream};

use super::*;
use crate::error::CloseCode;
use crate::session::{Closed, Session};

#[tokio::test]
async fn outputs_come_whole_and_bad_ones_are_skipped() {
    let mut rig = Rig::start();
    let connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let arrival = rig.arrival().await;
    let full =
        Kept { head: OUTPUT_HEAD_BYTES as u64, skipped: 1 << 40, tail: OUTPUT_TAIL_BYTES as u32 };
    let lease = LeaseId { epoch: Epoch::new(1), counter: 7 };
    let header = OutputHeader { lease, stdout: full, stderr: full };
    let empty = OutputHeader { lease, stdout: Kept::default(), stderr: Kept::default() };
    let too_large = OutputHeader { stdout: Kept { head: u64::MAX, skipped: 0, tail: 0 }, ..empty };
    let bytes: Vec<u8> = (0..2_usize << 20).map(|at| (at % 251) as u8).collect();
    let bad_streams = async {
        let frame =
            |header: &OutputHeader| encode(&WorkerStream::Output(*header)).unwrap().to_vec();
        let short = [frame(&header), vec![0; 10]].concat();
        let long = [frame(&empty), vec![0; 10]].concat();
        for bad in [frame(&too_large), short, long, vec![0xff; 8], vec![]] {
            let mut stream = connected.session.connection().open_uni().await.unwrap();
            // The other end may refuse it before it is whole.
            let _refused = stream.write_all(&bad).await;
            let _refused = stream.finish();
        }
    };
    let sending = async {
        bad_streams.await;
        send_output(&connected.session, header, &bytes).await.unwrap();
        send_output(&connected.session, empty, &[]).await.unwrap();
    };
    let hearing = async {
        assert_eq!(next_output(&arrival).await, (header, bytes.clone()));
        assert_eq!(next_output(&arrival).await, (empty, Vec::new()));
    };
    in_time(async { tokio::join!(sending, hearing) }).await;
    arrival.session.close(CloseCode::Shutdown, "");
    let closed = in_time(connected.session.closed()).await;
    assert_eq!(closed.code, Some(CloseCode::Shutdown));
    assert_eq!(send_output(&connected.session, empty, &[]).await, Err(closed));
    assert!(in_time(arrival.session.next_stream::<WorkerStream>()).await.is_err());
}

async fn send_output(to: &Session, header: OutputHeader, bytes: &[u8]) -> Result<(), Closed> {
    let mut stream = to.open_stream(&WorkerStream::Output(header)).await?;
    stream.send_raw(bytes.to_vec().into()).await.unwrap();
    stream.arrived().await.unwrap();
    Ok(())
}

/// What a worker keeps whole comes in parts, each waited for by itself.
#[tokio::test]
async fn a_long_output_is_read_part_by_part() {
    const LENGTH: usize = 3 << 20;
    let mut rig = Rig::start();
    let connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let arrival = rig.arrival().await;
    let lease = LeaseId { epoch: Epoch::new(1), counter: 7 };
    let stdout = Kept { head: LENGTH as u64, skipped: 0, tail: 0 };
    let header = OutputHeader { lease, stdout, stderr: Kept::default() };
    assert!(header.is_long() && header.bytes() == Some(LENGTH as u64));
    let bytes: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let sending = async {
        send_output(&connected.session, header, &bytes).await.unwrap();
        // One that is broken off is not taken for a whole one.
        let stream = WorkerStream::Output(header);
        let mut broken = connected.session.open_stream(&stream).await.unwrap();
        broken.send_raw(vec![1; 10].into()).await.unwrap();
        begun.await.unwrap();
    };
    let hearing = async {
        let next = || arrival.session.next_stream::<WorkerStream>();
        let (_, mut stream) = next().await.unwrap();
        for part in bytes.chunks(1 << 18) {
            assert!(stream.part(1 << 18).await.unwrap() == part);
        }
        assert!(stream.at_end().await);
        let (_, mut broken) = next().await.unwrap();
        begin.send(()).unwrap();
        assert_eq!(broken.part(1 << 18).await, None);
    };
    in_time(async { tokio::join!(sending, hearing) }).await;
}

/// Returns the next output that keeps to its header.
async fn next_output(arrival: &Arrival) -> (OutputHeader, Vec<u8>) {
    loop {
        let (header, stream) = arrival.session.next_stream().await.unwrap();
        let WorkerStream::Output(header) = header else { panic!("{header:?}") };
        if let Some(bytes) = stream.output(&header).await {
            return (header, bytes);
        }
    }
}
