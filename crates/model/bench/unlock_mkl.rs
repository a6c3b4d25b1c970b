//! Tells MKL that this is a processor of Intel's: on others it keeps its AVX-512 kernels to itself. Loaded before torch, for
//! the columns of `cargo xtask bench training` that say so.

/// What MKL asks of itself before it chooses its kernels.
#[unsafe(no_mangle)]
pub extern "C" fn mkl_serv_intel_cpu_true() -> i32 {
    1
}
