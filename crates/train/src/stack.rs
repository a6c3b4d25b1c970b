//! The threads of a training: a stack for the recursions of the tensor library, and a share of the cores.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::{Error, Result};

/// 64 MiB: candle walks and drops the graph by recursion, and an LSTM over a few hundred labels overflows the default.
const STACK: usize = 64 << 20;

/// How long a thread that has no share of the cores waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs `f` in a pool of threads with stacks of 64 MiB and returns what it returns. Training belongs in there.
///
/// Backward passes and the release of a graph recurse once per chained operation; an overflow aborts the process. The
/// pool is also the one that parallel layers use from within `f`, which spares a change of threads at every layer. It has
/// as many threads as rayon's own pool would: one per core, or `RAYON_NUM_THREADS`.
///
/// # Panics
///
/// If `f` panics, with its payload; and if the system refuses a thread, as [`std::thread::spawn`] does.
pub fn with_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    pool().install(f)
}

/// As [`with_stack`] where other processes use the cores, too: as many of the threads work as `file` says, and when the
/// number in it has grown, because another process has ended, more do. When the file is gone, with whoever divided the
/// cores, all do.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, [`Error::Config`] if it does not hold a number of at least 1; `f` is not run.
///
/// # Panics
///
/// As [`with_stack`].
///
/// # Proved by
///
/// `threads_join_when_the_share_grows`, `threads_that_nobody_can_have_are_refused`.
pub fn with_stack_among<R: Send>(file: &Path, f: impl FnOnce() -> R + Send) -> Result<R> {
    share(file)?;
    let pool = pool();
    let (over, place) = (Over(Arc::default()), Arc::new(file.to_owned()));
    let (arrived, arrivals) = channel();
    let is_over = Arc::clone(&over.0);
    pool.spawn_broadcast(move |thread| {
        let _ = arrived.send(());
        while share(&place).is_ok_and(|share| thread.index() >= share) && !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_AGAIN);
        }
    });
    // Before `f` starts: a thread that worked for it and then found that it has to wait would stop it.
    for _ in 0..pool.current_num_threads() {
        let _ = arrivals.recv();
    }
    Ok(pool.install(f))
}

fn pool() -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|i| format!("training-{i}"))
        .stack_size(STACK)
        .build();
    match pool {
        Ok(pool) => pool,
        Err(error) => panic!("cannot start the training threads: {error}"),
    }
}

/// How many threads may work.
fn share(file: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(file).map_err(Error::io("cannot read", file))?;
    match text.trim().parse() {
        Ok(share) if share > 0 => Ok(share),
        _ => Err(Error::Config {
            field: "threads",
            why: format!(
                "expected a number of at least 1 in {}, got {text:?}",
                file.display()
            ),
        }),
    }
}

/// Lets those who wait go when it is dropped.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_stack_survives_a_graph_that_overflows_the_default() {
        use candle_core::{Device, Tensor, Var};
        let slope = with_stack(|| -> candle_core::Result<f32> {
            let x = Var::new(1f32, &Device::Cpu)?;
            let mut y: Tensor = x.as_tensor().clone();
            for _ in 0..20_000 {
                y = (y + 1.0)?;
            }
            y.backward()?.get(&x).map_or(Ok(f32::NAN), Tensor::to_scalar)
        });
        assert_eq!(slope.unwrap(), 1.0);
    }

    #[test]
    fn with_stack_passes_a_panic_on() {
        let panic = std::panic::catch_unwind(|| with_stack(|| panic!("in the thread"))).unwrap_err();
        assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "in the thread");
    }

    #[test]
    fn threads_join_when_the_share_grows() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("threads");
        std::fs::write(&file, "1\n").unwrap();
        // Two that wait for each other: met by two threads only.
        let meeting = |patience: Duration| {
            let here = [AtomicBool::new(false), AtomicBool::new(false)];
            let wait = |me: usize| {
                here[me].store(true, Ordering::SeqCst);
                let start = std::time::Instant::now();
                while !here[1 - me].load(Ordering::SeqCst) && start.elapsed() < patience {
                    std::thread::yield_now();
                }
                here[1 - me].load(Ordering::SeqCst)
            };
            rayon::join(|| wait(0), || wait(1)).0
        };
        with_stack_among(&file, || {
            if rayon::current_num_threads() > 1 {
                assert!(!meeting(Duration::from_millis(300)));
                std::fs::write(&file, "2\n").unwrap();
                assert!(meeting(Duration::from_secs(60)));
            }
        })
        .unwrap();
    }

    #[test]
    fn threads_that_nobody_can_have_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("threads");
        let refused = || with_stack_among(&file, || ()).unwrap_err().to_string();
        assert!(refused().contains("cannot read"));
        for text in ["0", "soon", ""] {
            std::fs::write(&file, text).unwrap();
            assert!(refused().contains("expected a number of at least 1"), "{text}");
        }
    }
}
