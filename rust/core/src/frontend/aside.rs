//! Work that would hold up the other connections of its reactor: it is done on a thread made for that.

use std::panic;

use tokio::task::spawn_blocking;

/// Runs it here, or aside when it is heavy.
pub(crate) async fn run<T: Send + 'static>(heavy: bool, work: impl FnOnce() -> T + Send + 'static) -> T {
    if !heavy {
        return work();
    }
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            // The runtime is being shut down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
