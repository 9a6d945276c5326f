//! Limits that both ends of the wire must agree on, each with its unit. Limits of connections and
//! handshakes live in `ganger-net`.

/// Bytes of one frame's body, every kind of frame.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of a control string: names, reasons, sentences from a peer.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// Bytes of one task's payload: argument vector, environment and argument together.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Items of one argument vector.
pub const ARGV_ITEMS_MAX: usize = 1_024;
/// Environment variables of one spec.
pub const ENV_ITEMS_MAX: usize = 256;
/// Labels of one batch.
pub const LABELS_MAX: usize = 32;
/// Bytes of all labels of one batch, keys and values together.
pub const LABEL_BYTES_MAX: usize = 4 << 10;
/// Tasks of one listed submission frame.
pub const SUBMIT_TASKS_MAX: usize = 4_096;
/// Argument bytes of one listed submission frame; leaves room for the frame's other fields.
pub const SUBMIT_BYTES_MAX: usize = 768 << 10;
/// Tasks of one batch. A range costs nothing until leased, so the bound is on ids, not on memory.
pub const BATCH_TASKS_MAX: u64 = 100_000_000;
/// Tasks the master keeps, finished ones included.
pub const TASKS_MAX: u64 = 200_000_000;
/// Tasks of one grant message.
pub const GRANT_TASKS_MAX: u32 = 512;
/// Argument bytes of one grant message.
pub const GRANT_BYTES_MAX: usize = 256 << 10;
/// Tasks one session may hold, running and waiting on the worker together.
pub const HOLD_TASKS_MAX: u32 = 8_192;
/// Leases that a worker names in one message; twice what it can hold in both lanes. An empty run
/// counts as one.
pub const NAMED_LEASES_MAX: u64 = 4 * HOLD_TASKS_MAX as u64;
/// Bytes of what a worker says that its policy allows; what is longer is cut.
pub const POLICY_BYTES_MAX: usize = 512;
/// Bytes of a worker's release; what is longer is cut.
pub const VERSION_BYTES_MAX: usize = 64;
/// Inline output of one stream of one task, in bytes; more is stored as output.
pub const INLINE_BYTES_MAX: usize = 4 << 10;
/// Bytes of stdout or stderr kept from the start of a stream.
pub const OUTPUT_HEAD_BYTES: usize = 256 << 10;
/// Bytes of stdout or stderr kept from the end of a stream.
pub const OUTPUT_TAIL_BYTES: usize = 768 << 10;
/// Bytes of one part of an output that is kept whole, in the store and in a page of it.
pub const OUTPUT_PART_BYTES: usize = 256 << 10;
/// Bytes of stdout or stderr that a submitter may ask to be kept whole.
pub const OUTPUT_BYTES_MAX: u64 = 4 << 30;
/// Queues that the master keeps; each is a row of every status.
pub const QUEUES_MAX: usize = 1_024;
/// Batches that one batch waits for.
pub const AFTER_MAX: usize = 64;
/// Rows of one window of a picture or of one page of a listing.
pub const WINDOW_ROWS_MAX: u32 = 200;
/// Rows of one page of `ls`, `results` or `events` asked for by a command.
pub const PAGE_ROWS_MAX: u32 = 4_096;
/// Identities in one page: each may take 400 bytes of a frame.
pub const PAGE_IDENTITIES_MAX: u32 = 2_048;
/// Bytes of rows in one page of a listing.
pub const PAGE_BYTES_MAX: usize = 512 << 10;
/// Runs of tasks that a client says at once to have heard of.
pub const TOLD_RUNS_MAX: usize = 32_768;
/// Batches whose ends one connection follows.
pub const ENDS_BATCHES_MAX: usize = 16;
/// Retries after the first failure.
pub const RETRIES_MAX: u8 = 100;
/// Times a task may lose its worker while it runs before it fails as poison.
pub const LOST_MAX: u8 = 4;
/// Releases of a task that count as one failure.
pub const RELEASES_MAX: u8 = 100;
/// Ids in one bulk command.
pub const SELECT_IDS_MAX: usize = 65_536;
/// Runs in one report; a report also keeps to [`FRAME_BYTES_MAX`].
pub const REPORT_RUNS_MAX: usize = 4_096;
