//! The pointwise distance between speech and text embeddings.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result as TensorResult, Shape, Tensor, WithDType};

use crate::{Error, Lengths, Padded, Result, host};

/// How far a speech vector s and a text vector e of width D are apart.
///
/// L1, the squared forms and Huber are means over the D components (MAE, MSE), so that they do not grow with the width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// mean |s − e| (MAE).
    L1,
    /// ‖s − e‖ / √D, the root of the mean square. Its gradient at s = e is taken as zero.
    L2,
    /// mean (s − e)² (MSE).
    SquaredL2,
    /// mean of r²/2 for |r| ≤ δ and δ(|r| − δ/2) beyond, with r = s − e.
    Huber {
        /// Where the square turns into a line.
        delta: f64,
    },
    /// 1 − s·e / (‖s‖‖e‖). The norms are floored at 1e-8, so a zero vector is at distance 1 from everything.
    Cosine,
}

/// The distance of every speech frame to every text position.
///
/// # Equation
///
/// ```text
/// d(b, t, u) = distance(speech[b, t], text[b, u])
/// ```
///
/// # Shapes
///
/// * `speech`: `[B, T, D]`, `text`: `[B, U, D]`, f32 or f64.
/// * returns `[B, T, U]`; 0 in the padding of either.
///
/// # Errors
///
/// [`Error::Shape`] or [`Error::BatchSize`] if the two disagree in B, D or dtype.
///
/// # Proved by
///
/// `pairwise_equals_the_formula`, `pairwise_gradient_equals_differences`, `pairwise_ignores_padding`.
pub fn pairwise(distance: Distance, speech: &Padded, text: &Padded) -> Result<Tensor> {
    let ((batch, _, dim), (text_batch, _, text_dim)) = (speech.dims(), text.dims());
    if batch != text_batch {
        return Err(Error::BatchSize {
            what: "text embeddings",
            expected: batch,
            got: text_batch,
        });
    }
    if dim != text_dim || speech.values().dtype() != text.values().dtype() {
        return Err(Error::Shape {
            what: "text embeddings",
            expected: format!("[B, U, {dim}] {:?}", speech.values().dtype()),
            got: text.values().dims().to_vec(),
        });
    }
    let op = Pairwise {
        distance,
        frames: speech.lengths().clone(),
        labels: text.lengths().clone(),
    };
    Ok(speech
        .values()
        .contiguous()?
        .apply_op2(&text.values().contiguous()?, op)?)
}

struct Pairwise {
    distance: Distance,
    frames: Lengths,
    labels: Lengths,
}

/// The two float types the operation is written for: f32 to train, f64 to prove.
trait Real: WithDType + std::iter::Sum + std::ops::Neg<Output = Self> {
    fn of(x: f64) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    fn signum0(self) -> Self;
}
macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            fn of(x: f64) -> Self {
                x as $t
            }
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            fn signum0(self) -> Self {
                ((self > 0.0) as i8 - (self < 0.0) as i8) as $t
            }
        }
    };
}
real!(f32);
real!(f64);

/// Σ f(s_i, e_i) in sixteen lanes: one sum would wait for itself at every value.
#[inline(always)]
fn total<T: Real>(s: &[T], e: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::of(0.0); 16];
    let (s, e) = (s.chunks_exact(lanes.len()), e.chunks_exact(lanes.len()));
    let rest = s.remainder().iter().zip(e.remainder());
    let rest = rest.map(|(&a, &b)| f(a, b)).sum::<T>();
    for (s, e) in s.zip(e) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(s.iter().zip(e)) {
            *lane += f(a, b);
        }
    }
    lanes.into_iter().sum::<T>() + rest
}

fn norm<T: Real>(x: &[T]) -> T {
    let n = total(x, x, |a, b| a * b).sqrt();
    if n > T::of(1e-8) { n } else { T::of(1e-8) }
}

fn value<T: Real>(distance: Distance, s: &[T], e: &[T]) -> T {
    let n = T::of(s.len() as f64);
    match distance {
        Distance::L1 => total(s, e, |a, b| (a - b).abs()) / n,
        Distance::L2 => (total(s, e, |a, b| (a - b) * (a - b)) / n).sqrt(),
        Distance::SquaredL2 => total(s, e, |a, b| (a - b) * (a - b)) / n,
        Distance::Huber { delta } => {
            let d = T::of(delta);
            let huber = |r: T| {
                if r.abs() <= d {
                    r * r * T::of(0.5)
                } else {
                    d * (r.abs() - d * T::of(0.5))
                }
            };
            total(s, e, |a, b| huber(a - b)) / n
        }
        Distance::Cosine => T::of(1.0) - total(s, e, |a, b| a * b) / (norm(s) * norm(e)),
    }
}

/// Adds g · ∂d/∂s to `ds` and g · ∂d/∂e to `de`.
fn add_gradient<T: Real>(distance: Distance, g: T, s: &[T], e: &[T], ds: &mut [T], de: &mut [T]) {
    let scale = g / T::of(s.len() as f64);
    let mut along = |slope: &dyn Fn(T) -> T| {
        for (((&a, &b), ds), de) in s.iter().zip(e).zip(ds.iter_mut()).zip(de.iter_mut()) {
            let d = scale * slope(a - b);
            *ds += d;
            *de -= d;
        }
    };
    match distance {
        Distance::L1 => {
            for (((&a, &b), ds), de) in s.iter().zip(e).zip(ds.iter_mut()).zip(de.iter_mut()) {
                let d = scale * (a - b).signum0();
                *ds += d;
                *de -= d;
            }
        }
        Distance::L2 => {
            let d = value(distance, s, e);
            if d > T::of(0.0) {
                along(&|r| r / d);
            }
        }
        Distance::SquaredL2 => along(&|r| r + r),
        Distance::Huber { delta } => {
            let d = T::of(delta);
            along(&|r| if r.abs() <= d { r } else { d * r.signum0() });
        }
        Distance::Cosine => {
            let (ns, ne) = (norm(s), norm(e));
            let cosine = total(s, e, |a, b| a * b) / (ns * ne);
            // At the floor the norm is a constant, so its term vanishes.
            let floored = |n: T| if n > T::of(1e-8) { T::of(1.0) } else { T::of(0.0) };
            let (ks, ke) = (cosine * floored(ns) / (ns * ns), cosine * floored(ne) / (ne * ne));
            for (((&a, &b), ds), de) in s.iter().zip(e).zip(ds.iter_mut()).zip(de.iter_mut()) {
                *ds -= g * (b / (ns * ne) - ks * a);
                *de -= g * (a / (ns * ne) - ke * b);
            }
        }
    }
}

impl Pairwise {
    fn forward<T: Real>(&self, s: &[T], e: &[T], (t, u, d): (usize, usize, usize)) -> Vec<T> {
        let mut out = vec![T::of(0.0); self.frames.len() * t * u];
        for b in 0..self.frames.len() {
            for i in 0..self.frames.get(b) {
                let x = &s[(b * t + i) * d..][..d];
                for j in 0..self.labels.get(b) {
                    out[(b * t + i) * u + j] = value(self.distance, x, &e[(b * u + j) * d..][..d]);
                }
            }
        }
        out
    }

    fn backward<T: Real>(
        &self,
        s: &[T],
        e: &[T],
        g: &[T],
        (t, u, d): (usize, usize, usize),
    ) -> (Vec<T>, Vec<T>) {
        let (mut ds, mut de) = (vec![T::of(0.0); s.len()], vec![T::of(0.0); e.len()]);
        for b in 0..self.frames.len() {
            for i in 0..self.frames.get(b) {
                let at = (b * t + i) * d;
                for j in 0..self.labels.get(b) {
                    let (g, to) = (g[(b * t + i) * u + j], (b * u + j) * d);
                    // Under an alignment most frames have no share in most labels.
                    if g != T::of(0.0) {
                        add_gradient(
                            self.distance,
                            g,
                            &s[at..][..d],
                            &e[to..][..d],
                            &mut ds[at..][..d],
                            &mut de[to..][..d],
                        );
                    }
                }
            }
        }
        (ds, de)
    }
}

impl CustomOp2 for Pairwise {
    fn name(&self) -> &'static str {
        "pairwise-distance"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> TensorResult<(CpuStorage, Shape)> {
        let ((b, t, d), (_, u, _)) = (l1.shape().dims3()?, l2.shape().dims3()?);
        let out = match s1.dtype() {
            DType::F64 => f64::to_cpu_storage_owned(self.forward::<f64>(
                host::slice(s1, l1)?,
                host::slice(s2, l2)?,
                (t, u, d),
            )),
            _ => f32::to_cpu_storage_owned(self.forward::<f32>(
                host::slice(s1, l1)?,
                host::slice(s2, l2)?,
                (t, u, d),
            )),
        };
        Ok((out, (b, t, u).into()))
    }

    fn bwd(
        &self,
        s: &Tensor,
        e: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> TensorResult<(Option<Tensor>, Option<Tensor>)> {
        fn run<T: Real>(op: &Pairwise, s: &Tensor, e: &Tensor, g: &Tensor) -> TensorResult<(Tensor, Tensor)> {
            let ((_, t, d), (_, u, _)) = (s.dims3()?, e.dims3()?);
            let (ds, de) = host::read::<T, _>(s, |s| {
                host::read::<T, _>(e, |e| host::read::<T, _>(g, |g| op.backward(s, e, g, (t, u, d))))
            })???;
            Ok((
                Tensor::from_vec(ds, s.shape(), s.device())?,
                Tensor::from_vec(de, e.shape(), e.device())?,
            ))
        }
        let (ds, de) = match s.dtype() {
            DType::F64 => run::<f64>(self, s, e, g)?,
            _ => run::<f32>(self, s, e, g)?,
        };
        Ok((Some(ds), Some(de)))
    }
}
