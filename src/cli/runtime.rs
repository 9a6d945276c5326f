//! The runtimes that commands run on, and how many threads those have.

use super::error::{CliError, Result};

/// Runs a future on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    builder.worker_threads(cores.div_ceil(CORES_A_THREAD));
    block_on_runtime(builder, work)
}

/// Cores for each thread that serves connections. The loop has one of its own beside them, and so
/// has the store; where there are more than there is work for, they spend it waking each other.
const CORES_A_THREAD: usize = 4;

/// As [`block_on`], on this one thread: for a worker, whose parts wake each other for each task.
/// Between threads that cost more than what they did.
pub(super) fn block_on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    block_on_runtime(tokio::runtime::Builder::new_current_thread(), work)
}

fn block_on_runtime<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| CliError::io("cannot start the runtime", &error))?;
    let result = runtime.block_on(work);
    // A thread that reads the terminal or a pipe must not hold up the end of the process.
    runtime.shutdown_background();
    result
}
