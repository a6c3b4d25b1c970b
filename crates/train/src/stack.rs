//! Stack for the recursions of the tensor library.

/// 64 MiB: candle walks and drops the graph by recursion, and an LSTM over a few hundred labels overflows the default.
const STACK: usize = 64 << 20;

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
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|i| format!("training-{i}"))
        .stack_size(STACK)
        .build();
    match pool {
        Ok(pool) => pool.install(f),
        Err(error) => panic!("cannot start the training threads: {error}"),
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
}
