//! A model's process as the kernel knows it: when it has ended, how, and that nothing of it stays behind.

use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};

/// Between two looks, where the kernel does not tell.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// A process that does not outlive those who know it. It leads a group of its own: what a model starts ends with it.
#[derive(Clone)]
pub(super) struct Reaped(Arc<Owned>);

struct Owned(Mutex<Option<Child>>);

impl Reaped {
    pub(super) fn new(child: Child) -> Self {
        Self(Arc::new(Owned(Mutex::new(Some(child)))))
    }

    /// What becomes readable when the process has ended; none where the kernel has no such thing. Its socket does not tell: processes that
    /// a model forked may hold it open.
    pub(super) fn watch(&self) -> Option<OwnedFd> {
        let child = self.0.lock();
        pidfd_open(Pid::from_child(child.as_ref()?), PidfdFlags::NONBLOCK).ok()
    }

    /// Waits until it has ended; kills it when the time is over. The first who asks hears how it ended.
    pub(super) fn end(&self, patience: Duration) -> Option<ExitStatus> {
        self.0.end(patience)
    }
}

impl Owned {
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, patience: Duration) -> Option<ExitStatus> {
        let mut child = self.lock().take()?;
        let until = Instant::now() + patience;
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(watch) => wait_readable(&watch, until),
            Err(_) => {
                while !has_ended(pid) && Instant::now() < until {
                    thread::sleep(LOOK_PAUSE);
                }
            }
        }
        // Not reaped yet, its number is still its own, and that of its group.
        let _ = kill_process_group(pid, Signal::KILL);
        child.wait().ok()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

fn wait_readable(file: &OwnedFd, until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { return };
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}
