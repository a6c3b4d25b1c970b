//! The example `align_file`, which others compare themselves with: every output against trying all alignments.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;

#[allow(dead_code)] // Its `main`.
#[path = "../examples/align_file.rs"]
mod align_file;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, safetensors};
use common::{Cells, OF_ONE_SIZE, alignments, close, costs};
use sandhi_align::Moves;

type Tensors = HashMap<String, Tensor>;

/// The last cannot be aligned by the strict and the forced reading.
const EXTENTS: [(usize, usize); 4] = [(5, 3), (3, 3), (4, 1), (2, 3)];
const NAMES: [&str; 4] = ["every_label", "every_label_strict", "every_frame", "forced"];

/// Runs the example on `input`: what it writes and what it says.
fn run(input: &[(&str, Tensor)]) -> anyhow::Result<(Tensors, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("in.safetensors"), folder.path().join("out"));
    let input: Tensors = input
        .iter()
        .map(|(name, tensor)| ((*name).to_owned(), tensor.clone()))
        .collect();
    safetensors::save(&input, &from)?;
    let said = align_file::align_file(&from, &to)?;
    Ok((safetensors::load(&to, &Device::Cpu)?, said))
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn batch(dtype: DType, poison: f64) -> [(&'static str, Tensor); 3] {
    let (cost, _, _) = costs(1, &EXTENTS, poison);
    [
        ("cost", cost.to_dtype(dtype).unwrap()),
        ("frame_lengths", ints(&EXTENTS.map(|e| e.0 as i64))),
        ("label_lengths", ints(&EXTENTS.map(|e| e.1 as i64))),
    ]
}

/// Total and path of one utterance, by trying every alignment.
fn expected(moves: Moves, grid: &[Vec<f64>], (t, u): (usize, usize)) -> Option<(f64, Vec<i64>)> {
    let price = |cells: &Cells| cells.iter().map(|&(t, u)| grid[t][u]).sum::<f64>();
    let best = alignments(moves, t, u)
        .into_iter()
        .min_by(|a, b| price(a).total_cmp(&price(b)))?;
    let path = best.iter().map(|&(t, u)| match moves {
        Moves::EveryLabel | Moves::EveryLabelStrict => t as i64,
        _ => u as i64,
    });
    Some((price(&best), path.collect()))
}

#[test]
fn align_file_equals_trying_every_alignment() {
    for dtype in [DType::F32, DType::F64] {
        let input = batch(dtype, f64::NAN);
        let (found, said) = run(&input).unwrap();
        assert_eq!(found.len(), 8);
        assert_eq!(
            said,
            [
                "every_label_strict: utterance 3 has no alignment: 3 labels over 2 frames",
                "forced: utterance 3 has no alignment: 3 labels over 2 frames"
            ]
        );
        let grids = input[0].1.to_dtype(DType::F64).unwrap().to_vec3::<f64>().unwrap();
        for (name, moves) in NAMES.into_iter().zip(OF_ONE_SIZE) {
            let totals = found[&format!("{name}_total")].to_vec1::<f64>().unwrap();
            let paths = found[&format!("{name}_path")].to_vec2::<i64>().unwrap();
            let extent = if name.starts_with("every_label") { 3 } else { 5 };
            for (b, grid) in grids.iter().enumerate() {
                let (total, mut path) = expected(moves, grid, EXTENTS[b]).unwrap_or((f64::INFINITY, vec![]));
                path.resize(extent, -1);
                assert_eq!(paths[b], path, "{name} of utterance {b}");
                assert!(
                    totals[b] == total || (totals[b] - total).abs() < 1e-12,
                    "{name}: {totals:?}"
                );
            }
        }
    }
}

#[test]
fn align_file_takes_one_utterance_without_a_batch() {
    let (cost, _, _) = costs(2, &[(5, 3)], 0.0);
    let cost = cost.squeeze(0).unwrap();
    let (found, said) = run(&[("cost", cost.clone())]).unwrap();
    assert!(said.is_empty() && found.len() == 8);
    for (name, moves) in NAMES.into_iter().zip(OF_ONE_SIZE) {
        let (total, path) = expected(moves, &cost.to_vec2().unwrap(), (5, 3)).unwrap();
        close(
            &found[&format!("{name}_total")].to_vec1().unwrap(),
            &[total],
            1e-12,
        );
        assert_eq!(found[&format!("{name}_path")].to_vec1::<i64>().unwrap(), path);
    }
    // Of more labels than frames only two readings are left.
    let (found, said) = run(&[("cost", cost.t().unwrap().contiguous().unwrap())]).unwrap();
    let mut names: Vec<_> = found.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "every_frame_path",
            "every_frame_total",
            "every_label_path",
            "every_label_total"
        ]
    );
    assert_eq!(
        said[1],
        "forced: utterance 0 has no alignment: 5 labels over 3 frames"
    );
}

#[test]
fn align_file_takes_any_integers() {
    let same = |found: &Tensors, expected: &Tensors| {
        for (name, tensor) in expected {
            let bits = |x: &Tensor| {
                format!(
                    "{:?}",
                    x.flatten_all()
                        .unwrap()
                        .to_dtype(DType::F64)
                        .unwrap()
                        .to_vec1::<f64>()
                )
            };
            assert_eq!(bits(&found[name]), bits(tensor), "{name}");
        }
    };
    let expected = run(&batch(DType::F64, 0.0)).unwrap().0;
    for dtype in [DType::I32, DType::I64, DType::U32] {
        let mut input = batch(DType::F64, 0.0);
        for (_, lengths) in &mut input[1..] {
            *lengths = lengths.to_dtype(dtype).unwrap();
        }
        same(&run(&input).unwrap().0, &expected);
    }
}

#[test]
fn align_file_says_what_does_not_fit() {
    let fails = |which: usize, name: &'static str, tensor: Tensor| {
        let mut input = batch(DType::F64, 0.0);
        input[which] = (name, tensor);
        format!("{:#}", run(&input).unwrap_err())
    };
    let floats = Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap();
    for (found, message) in [
        (fails(0, "costs", floats.clone()), "the file has no tensor `cost`"),
        (
            fails(0, "cost", ints(&[1, 2])),
            "cost: expected [B, T, U] or [T, U] in f32 or f64, got [2] in i64",
        ),
        (
            fails(1, "frame_lengths", ints(&[5, 3])),
            "frame_lengths: expected 4 lengths, got 2",
        ),
        (
            fails(1, "frame_lengths", ints(&[5, 3, -1, 2])),
            "frame_lengths: utterance 2: expected 0 to 5, got -1",
        ),
        (
            fails(2, "label_lengths", ints(&[3, 4, 1, 3])),
            "label_lengths: utterance 1: expected 0 to 3, got 4",
        ),
        (
            fails(2, "label_lengths", floats),
            "label_lengths: expected i32, i64 or u32, got f32",
        ),
    ] {
        assert_eq!(found, message);
    }
}
