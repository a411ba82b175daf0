//! How long a connection waits for its client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A time limit that is moved with every request. The timer behind it is only set again when it rings, so that moving costs a store.
pub(super) struct Patience {
    until: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub(super) fn new(time: Duration) -> Self {
        let until = Instant::now() + time;
        Self { until, timer: Box::pin(sleep_until(until)) }
    }

    /// From now on, so much.
    pub(super) fn allow(&mut self, time: Duration) {
        self.until = Instant::now() + time;
        if self.until < self.timer.deadline() {
            self.timer.as_mut().reset(self.until);
        }
    }

    /// Passes on what is ready; nothing once the time is over.
    pub(super) fn or_elapsed<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<T>>> {
        if let Poll::Ready(result) = polled {
            return Poll::Ready(result.map(Some));
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.until {
                return Poll::Ready(Ok(None));
            }
            let until = self.until;
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_was_last_told_to() {
        for (first, last) in [(1, 5), (5, 1), (3, 3)] {
            let start = Instant::now();
            let mut patience = Patience::new(first * SECOND);
            patience.allow(last * SECOND);
            let ended = poll_fn(|context| patience.or_elapsed::<()>(Poll::Pending, context)).await;
            assert!(ended.expect("no error").is_none());
            assert_eq!(start.elapsed(), last * SECOND);
        }
    }
}
