//! Stack for the recursions of the tensor library.

/// 64 MiB: candle walks and drops the graph by recursion, and an LSTM over a few hundred labels overflows the default.
const STACK: usize = 64 << 20;

/// Runs `f` in a thread with a stack of 64 MiB and returns what it returns. Training belongs in there.
///
/// Backward passes and the release of a graph recurse once per chained operation; an overflow aborts the process.
///
/// # Panics
///
/// If `f` panics, with its payload; and if the system refuses a thread, as [`std::thread::spawn`] does.
pub fn with_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("training".into())
            .stack_size(STACK)
            .spawn_scoped(scope, f);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("cannot start the training thread: {error}"),
        }
    })
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
}
