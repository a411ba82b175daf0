//! How long connections live, and how those are found whose client has gone without a word.

use std::future::pending;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

/// How connections are looked after.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// How often a client is asked whether it is still there.
    pub keepalive_time: Duration,
    /// How long it has to answer.
    pub keepalive_timeout: Duration,
    /// Whether one without calls in flight is asked as well.
    pub keepalive_without_calls: bool,
    /// How long a connection lives before its client is asked to open another.
    pub max_age: Option<Duration>,
    /// How long it may finish its calls after that; `None` is as long as they take.
    pub max_age_grace: Option<Duration>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            keepalive_time: Duration::from_secs(7200),
            keepalive_timeout: Duration::from_secs(20),
            keepalive_without_calls: true,
            max_age: None,
            max_age_grace: None,
        }
    }
}

/// Counts the calls of a connection: each holds one until it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<()>);

impl Calls {
    fn any(&self) -> bool {
        // One is held by whoever looks after the connection, one by whoever accepts its calls.
        Arc::strong_count(&self.0) > 2
    }
}

impl Upkeep {
    /// Returns when nobody is there any more.
    pub(super) async fn lost(&self, mut pings: PingPong, calls: Calls) {
        loop {
            sleep(self.keepalive_time).await;
            if !self.keepalive_without_calls && !calls.any() {
                continue;
            }
            if !matches!(timeout(self.keepalive_timeout, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
                return;
            }
        }
    }

    /// Returns when the connection is old. Connections that came together do not all go together: a tenth is left to chance.
    pub(super) async fn old(&self) {
        match self.max_age {
            Some(age) => sleep(age.mul_f64(0.9 + 0.2 * chance())).await,
            None => pending().await,
        }
    }

    /// Returns when an old connection has had its time to finish.
    pub(super) async fn spent(&self) {
        match self.max_age_grace {
            Some(grace) => sleep(grace).await,
            None => pending().await,
        }
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(random as u32) / f64::from(u32::MAX)
}
