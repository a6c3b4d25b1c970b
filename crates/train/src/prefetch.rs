//! Preparing batches while a step is computed.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Calls a producer for one step after the other in a thread of its own, at most `capacity` steps ahead.
///
/// What the producer returns must be a function of the step alone; then a run that continues from step n gets what an
/// uninterrupted run got.
///
/// ```
/// let mut squares = sandhi_train::prefetch(2, |step| Ok::<u64, std::fmt::Error>(step * step), 1);
/// assert_eq!(squares.get(1).unwrap(), 1);
/// assert_eq!(squares.get(2).unwrap(), 4);
/// // Another step than the next one starts over from there.
/// assert_eq!(squares.get(120).unwrap(), 14_400);
/// ```
pub fn prefetch<T, E, F>(capacity: usize, producer: F, first_step: u64) -> Prefetch<T>
where
    T: Send + 'static,
    E: Display,
    F: FnMut(u64) -> Result<T, E> + Send + 'static,
{
    let mut producer = producer;
    let produce = move |step: u64| match catch_unwind(AssertUnwindSafe(|| producer(step))) {
        Ok(Ok(item)) => Ok(item),
        // The alternate form of an error that has a chain shows all of it.
        Ok(Err(error)) => Err(Error::Producer {
            step,
            reason: format!("{error:#}"),
        }),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let reason = text.map_or_else(|| "it panicked".to_owned(), |text| format!("it panicked: {text}"));
            Err(Error::Producer { step, reason })
        }
    };
    let mut prefetch = Prefetch {
        capacity,
        next: first_step,
        waited: Duration::ZERO,
        state: State::Idle(Box::new(produce)),
    };
    prefetch.start(first_step);
    prefetch
}

type Produce<T> = Box<dyn FnMut(u64) -> Result<T> + Send>;

enum State<T> {
    /// Nothing runs.
    Idle(Produce<T>),
    /// The thread sends items in the order of the steps, and gives the producer back when it ends.
    Running(Receiver<Result<T>>, JoinHandle<Produce<T>>),
    /// The producer was lost with its thread.
    Lost,
}

/// Batches that are prepared ahead; made by [`prefetch`]. Dropping it ends the thread after the batch in work.
pub struct Prefetch<T> {
    capacity: usize,
    next: u64,
    waited: Duration,
    state: State<T>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// What the producer returns for a step; waits for it if it is not there yet.
    ///
    /// Steps are asked for in order. Another step than the next one drops what was prepared and starts over there.
    ///
    /// # Errors
    ///
    /// [`Error::Producer`] with the step, if the producer failed or panicked. The step can be asked for again.
    pub fn get(&mut self, step: u64) -> Result<T> {
        let since = Instant::now();
        if step != self.next || !matches!(self.state, State::Running(..)) {
            self.start(step);
        }
        let item = match &self.state {
            State::Running(items, _) => items.recv().unwrap_or_else(|_| Err(lost(step))),
            _ => Err(lost(step)),
        };
        self.waited = since.elapsed();
        match item {
            Ok(item) => {
                self.next = step + 1;
                Ok(item)
            }
            Err(error) => {
                self.stop();
                Err(error)
            }
        }
    }

    /// How long the last [`Prefetch::get`] had to wait.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn start(&mut self, step: u64) {
        self.stop();
        self.next = step;
        if let State::Idle(mut produce) = std::mem::replace(&mut self.state, State::Lost) {
            let (sender, items): (SyncSender<Result<T>>, _) = sync_channel(self.capacity.max(1) - 1);
            let work = move || {
                for step in step.. {
                    let item = produce(step);
                    let failed = item.is_err();
                    if sender.send(item).is_err() || failed {
                        break;
                    }
                }
                produce
            };
            let thread = std::thread::Builder::new().name("prefetch".into()).spawn(work);
            if let Ok(thread) = thread {
                self.state = State::Running(items, thread);
            }
        }
    }

    fn stop(&mut self) {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Running(items, thread) => {
                // Without a receiver the thread's next send fails, and it ends.
                drop(items);
                if let Ok(produce) = thread.join() {
                    self.state = State::Idle(produce);
                }
            }
            other => self.state = other,
        }
    }
}

fn lost(step: u64) -> Error {
    Error::Producer {
        step,
        reason: "its thread is gone".to_owned(),
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        if let State::Running(items, thread) = std::mem::replace(&mut self.state, State::Lost) {
            drop(items);
            // It catches its panics itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    type Never = std::convert::Infallible;

    fn eventually(condition: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if condition() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn prefetch_runs_ahead_no_further_than_its_capacity() {
        let made = Arc::new(AtomicU64::new(0));
        let counter = made.clone();
        let producer = move |step| {
            counter.store(step, Ordering::SeqCst);
            Ok::<u64, Never>(step)
        };
        let mut items = prefetch(3, producer, 11);
        assert_eq!(items.get(11).unwrap(), 11);
        // 12, 13 and 14 are ready or in work, and no more.
        assert!(eventually(|| made.load(Ordering::SeqCst) == 14));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(made.load(Ordering::SeqCst), 14);
    }

    #[test]
    fn prefetch_names_the_step_of_an_error_and_of_a_panic() {
        let producer = |step| match step {
            3 => Err("no such file".to_owned()),
            5 => panic!("index {step}"),
            _ => Ok(step),
        };
        let mut items = prefetch(2, producer, 1);
        assert_eq!(items.get(1).unwrap(), 1);
        assert_eq!(items.get(2).unwrap(), 2);
        for _ in 0..2 {
            let error = items.get(3).unwrap_err().to_string();
            assert_eq!(error, "step 3: the batch could not be prepared: no such file");
        }
        assert_eq!(items.get(4).unwrap(), 4);
        let error = items.get(5).unwrap_err().to_string();
        assert_eq!(
            error,
            "step 5: the batch could not be prepared: it panicked: index 5"
        );
        assert_eq!(items.get(6).unwrap(), 6);
    }

    #[test]
    fn prefetch_knows_how_long_it_waited() {
        let slow = |step: u64| {
            std::thread::sleep(Duration::from_millis(60));
            Ok::<u64, Never>(step)
        };
        let mut items = prefetch(2, slow, 1);
        items.get(1).unwrap();
        let first = items.waited();
        // The second is ready by now.
        std::thread::sleep(Duration::from_millis(300));
        items.get(2).unwrap();
        assert!(
            first >= Duration::from_millis(40) && items.waited() < first,
            "{first:?}, {:?}",
            items.waited()
        );
    }

    #[test]
    fn prefetch_dropped_ends_its_thread() {
        let alive = Arc::new(());
        let kept = alive.clone();
        let items = prefetch(2, move |step| Ok::<_, Never>((step, kept.clone())), 1);
        drop(items);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
