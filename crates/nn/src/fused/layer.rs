//! What the layers of a program have in common.

use super::Plan;
use super::rows::{Affine, Norm, Residual};
use super::tile::Tile;
use super::time::{Attention, Conv};
use crate::matmul::Packed;
use crate::ops::dropout::Mask;
use crate::real::Real;

/// One layer: which values it reads and makes, which parameters it has.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    Norm(Norm),
    Affine(Affine),
    Residual(Residual),
    Attention(Attention),
    Conv(Conv),
}

/// What all tiles of a run share.
pub(crate) struct Context<'a, T> {
    pub(crate) plan: &'a Plan,
    pub(crate) params: &'a [&'a [T]],
    /// By layer: the weight as the products of this pass want it.
    pub(crate) packed: Vec<Packed<T>>,
    /// By layer: position vectors `[2T−1, D]`.
    pub(crate) positions: Vec<Vec<T>>,
    /// By dropout.
    pub(crate) masks: &'a [Option<Mask>],
    /// T, of the padded tensor.
    pub(crate) frames: usize,
}

/// What the forward pass of a tile leaves.
pub(crate) struct State<T> {
    /// By value; empty where it is not kept.
    pub(crate) values: Vec<Vec<T>>,
    /// By layer.
    pub(crate) saved: Vec<Vec<Vec<T>>>,
}

/// What the backward pass of a tile leaves.
pub(crate) struct Parts<T> {
    /// By parameter: the tile's share of its gradient; empty where it follows from `dz`.
    pub(crate) params: Vec<Vec<T>>,
    /// By layer: the gradient of what its matrix made.
    pub(crate) dz: Vec<Vec<T>>,
}

impl Layer {
    pub(crate) fn output(&self) -> usize {
        match self {
            Self::Norm(layer) => layer.y,
            Self::Affine(layer) => layer.y,
            Self::Residual(layer) => layer.y,
            Self::Attention(layer) => layer.y,
            Self::Conv(layer) => layer.y,
        }
    }

    /// The layer's matrix and its input.
    pub(crate) fn affine(&self) -> Option<&Affine> {
        match self {
            Self::Affine(layer) => Some(layer),
            _ => None,
        }
    }

    fn forward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        at: usize,
        tile: &Tile,
        values: &mut [Vec<T>],
    ) -> Vec<Vec<T>> {
        match self {
            Self::Norm(layer) => layer.forward(cx, tile, values),
            Self::Affine(layer) => layer.forward(cx, at, tile, values),
            Self::Residual(layer) => layer.forward(cx, tile, values),
            Self::Attention(layer) => layer.forward(cx, at, tile, values),
            Self::Conv(layer) => layer.forward(cx, tile, values),
        }
    }

    fn backward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        at: usize,
        tile: &Tile,
        state: &State<T>,
        grads: &mut [Vec<T>],
        parts: &mut Parts<T>,
    ) {
        match self {
            Self::Norm(layer) => layer.backward(cx, &state.values, &state.saved[at], grads, parts),
            Self::Affine(layer) => layer.backward(cx, at, tile, &state.saved[at], grads, parts),
            Self::Residual(layer) => layer.backward(cx, tile, grads),
            Self::Attention(layer) => layer.backward(cx, at, tile, state, grads, parts),
            Self::Conv(layer) => layer.backward(cx, tile, state, &state.saved[at], grads, parts),
        }
    }
}

/// The output of a tile, and what its backward pass will read.
pub(crate) fn forward<T: Real>(cx: &Context<'_, T>, tile: &Tile, x: Vec<T>) -> (Vec<T>, State<T>) {
    let plan = cx.plan;
    let mut values = vec![Vec::new(); plan.widths.len()];
    values[0] = x;
    let saved = plan.layers.iter().enumerate();
    let saved = saved
        .map(|(at, layer)| layer.forward(cx, at, tile, &mut values))
        .collect();
    let y = if plan.kept[plan.output] {
        values[plan.output].clone()
    } else {
        std::mem::take(&mut values[plan.output])
    };
    for (value, &kept) in values.iter_mut().zip(&plan.kept) {
        if !kept {
            *value = Vec::new();
        }
    }
    (y, State { values, saved })
}

/// The gradient of a tile's input from that of its output.
pub(crate) fn backward<T: Real>(
    cx: &Context<'_, T>,
    tile: &Tile,
    state: &State<T>,
    dy: Vec<T>,
) -> (Vec<T>, Parts<T>) {
    let plan = cx.plan;
    let mut grads = vec![Vec::new(); plan.widths.len()];
    grads[plan.output] = dy;
    let mut parts = Parts {
        params: vec![Vec::new(); plan.params.len()],
        dz: vec![Vec::new(); plan.layers.len()],
    };
    for (at, layer) in plan.layers.iter().enumerate().rev() {
        layer.backward(cx, at, tile, state, &mut grads, &mut parts);
    }
    (std::mem::take(&mut grads[0]), parts)
}

/// The gradient of a value so far, as zeros if nothing has reached it yet.
pub(crate) fn so_far<T: Real>(grads: &mut [Vec<T>], value: usize, len: usize) -> &mut Vec<T> {
    let gradient = &mut grads[value];
    gradient.resize(len, T::ZERO);
    gradient
}
