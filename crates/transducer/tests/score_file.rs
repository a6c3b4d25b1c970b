//! The example `score_file`, which others compare themselves with: every output against the enumeration of all paths.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[allow(dead_code)] // Its `main`.
#[path = "../examples/score_file.rs"]
mod score_file;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, safetensors};
use sandhi_testkit::uniform;

type Tensors = HashMap<String, Tensor>;

/// Frames and labels of each utterance.
const EXTENTS: [(usize, usize); 4] = [(4, 3), (2, 1), (3, 0), (1, 3)];
const FRAMES: usize = 4;
const LABELS: usize = 3;
const VOCABULARY: usize = 5;
const LAMBDA: f64 = 0.7;

/// Runs the example on `input`: what it writes and what it says.
fn run(input: &Tensors) -> anyhow::Result<(Tensors, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("in.safetensors"), folder.path().join("out"));
    safetensors::save(input, &from)?;
    let said = score_file::score_file(&from, &to)?;
    Ok((safetensors::load(&to, &Device::Cpu)?, said))
}

/// A batch with all inputs; its padding holds ordinary numbers.
fn input(dtype: DType, blank: i64) -> Tensors {
    let batch = EXTENTS.len();
    let logits = uniform(1, &[batch, FRAMES, LABELS + 1, VOCABULARY], -3.0, 3.0).unwrap();
    let costs = uniform(2, &[batch, FRAMES, LABELS], -1.0, 2.0).unwrap();
    let targets = (0..batch * LABELS).map(|i| (blank + 1 + (i as i64 * 3) % 4) % VOCABULARY as i64);
    let ints = |values: Vec<i64>| Tensor::new(values, &Device::Cpu).unwrap();
    let targets = ints(targets.collect()).reshape((batch, LABELS)).unwrap();
    let lengths = |of: fn(&(usize, usize)) -> usize| ints(EXTENTS.iter().map(|e| of(e) as i64).collect());
    let scalar = |value: i64| ints(vec![value]).to_dtype(DType::I32).unwrap();
    [
        ("logits", logits.to_dtype(dtype).unwrap()),
        ("targets", targets),
        ("logit_lengths", lengths(|e| e.0)),
        ("target_lengths", lengths(|e| e.1)),
        ("blank", scalar(blank)),
        ("costs", costs.to_dtype(dtype).unwrap()),
        ("lambda", Tensor::new(&[LAMBDA], &Device::Cpu).unwrap()),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor))
    .into()
}

fn floats(tensors: &Tensors, name: &str) -> Vec<f64> {
    let tensor = tensors[name].to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn ints(tensors: &Tensors, name: &str) -> Vec<i64> {
    tensors[name].flatten_all().unwrap().to_vec1().unwrap()
}

/// Symbols emitted at nodes (t, u): all ways to emit `labels` and to leave every frame by a blank.
fn paths(frames: usize, labels: &[usize], blank: usize) -> Vec<Vec<(usize, usize, usize)>> {
    fn walk(
        at: (usize, usize),
        (frames, labels, blank): (usize, &[usize], usize),
        path: &mut Vec<(usize, usize, usize)>,
        found: &mut Vec<Vec<(usize, usize, usize)>>,
    ) {
        let (t, u) = at;
        if t == frames {
            found.extend((u == labels.len()).then(|| path.clone()));
            return;
        }
        // Earlier emissions first, so that the first of equal paths is the one a tie goes to.
        let label = labels.get(u).map(|&label| (label, (t, u + 1)));
        for (symbol, next) in label.into_iter().chain([(blank, (t + 1, u))]) {
            path.push((t, u, symbol));
            walk(next, (frames, labels, blank), path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk((0, 0), (frames, labels, blank), &mut Vec::new(), &mut found);
    found
}

/// All outputs, from their definitions as sums over paths.
fn by_enumeration(input: &Tensors) -> HashMap<&'static str, Vec<f64>> {
    let (logits, costs) = (floats(input, "logits"), floats(input, "costs"));
    let (targets, blank) = (ints(input, "targets"), floats(input, "blank")[0] as usize);
    let batch = EXTENTS.len();
    let mut out: HashMap<&str, Vec<f64>> = HashMap::new();
    for name in ["loss", "viterbi_score", "expected_cost", "soft_cost"] {
        out.insert(name, vec![0.0; batch]);
    }
    for name in ["grad_logits", "expected_cost_grad_logits"] {
        out.insert(name, vec![0.0; logits.len()]);
    }
    for name in ["posteriors", "expected_cost_grad_costs"] {
        out.insert(name, vec![0.0; costs.len()]);
    }
    out.insert("viterbi_frames", vec![-1.0; batch * LABELS]);
    for (b, &(frames, labels)) in EXTENTS.iter().enumerate() {
        let row: Vec<usize> = targets[b * LABELS..][..labels]
            .iter()
            .map(|&x| x as usize)
            .collect();
        let node = |t: usize, u: usize| ((b * FRAMES + t) * (LABELS + 1) + u) * VOCABULARY;
        let p = |t: usize, u: usize, v: usize| {
            let row = &logits[node(t, u)..][..VOCABULARY];
            row[v].exp() / row.iter().map(|x| x.exp()).sum::<f64>()
        };
        let cell = |t: usize, u: usize| (b * FRAMES + t) * LABELS + u;
        let paths = paths(frames, &row, blank);
        let emissions = |path: &[(usize, usize, usize)]| -> Vec<(usize, usize)> {
            let labels = path.iter().filter(|arc| arc.2 != blank);
            labels.map(|&(t, u, _)| (t, u)).collect()
        };
        let probability: Vec<f64> = paths
            .iter()
            .map(|path| path.iter().map(|&(t, u, v)| p(t, u, v)).product())
            .collect();
        let cost: Vec<f64> = paths
            .iter()
            .map(|path| emissions(path).iter().map(|&(t, u)| costs[cell(t, u)]).sum())
            .collect();
        let total: f64 = probability.iter().sum();
        let expected: f64 = probability.iter().zip(&cost).map(|(p, d)| p / total * d).sum();
        let soft: f64 = probability
            .iter()
            .zip(&cost)
            .map(|(p, d)| p / total * (-LAMBDA * d).exp())
            .sum();
        let mut put = |name: &str, at: usize, value: f64| out.get_mut(name).unwrap()[at] += value;
        put("loss", b, -total.ln());
        put("expected_cost", b, expected);
        put("soft_cost", b, -soft.ln());
        for ((path, probability), cost) in paths.iter().zip(&probability).zip(&cost) {
            let weight = probability / total;
            for &(t, u, symbol) in path {
                for v in 0..VOCABULARY {
                    let slope = f64::from(u8::from(v == symbol)) - p(t, u, v);
                    put("grad_logits", node(t, u) + v, -weight * slope);
                    let slope = weight * (cost - expected) * slope;
                    put("expected_cost_grad_logits", node(t, u) + v, slope);
                }
            }
            for (t, u) in emissions(path) {
                put("posteriors", cell(t, u), weight);
                put("expected_cost_grad_costs", cell(t, u), weight);
            }
        }
        let best = (0..paths.len())
            .rev()
            .max_by(|&a, &b| probability[a].total_cmp(&probability[b]));
        let best = best.unwrap();
        put("viterbi_score", b, probability[best].ln());
        for (t, u) in emissions(&paths[best]) {
            put("viterbi_frames", b * LABELS + u, t as f64 + 1.0);
        }
    }
    out
}

#[track_caller]
fn close(name: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let near = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(near, "{name}[{i}]: expected {expected}, got {got}");
    }
}

#[test]
fn score_file_equals_the_enumeration() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-6)] {
        for blank in [0, 2, VOCABULARY as i64 - 1] {
            let input = input(dtype, blank);
            let (got, said) = run(&input).unwrap();
            assert!(said.is_empty(), "{said:?}");
            let expected = by_enumeration(&input);
            assert_eq!(got.len(), expected.len());
            for (name, expected) in expected {
                close(name, &floats(&got, name), &expected, tolerance);
                let written = if name == "viterbi_frames" {
                    DType::I64
                } else {
                    dtype
                };
                assert_eq!(got[name].dtype(), written, "{name}");
            }
            assert_eq!(got["grad_logits"].dims(), input["logits"].dims());
            assert_eq!(got["posteriors"].dims(), input["costs"].dims());
            assert_eq!(got["viterbi_frames"].dims(), input["targets"].dims());
        }
    }
}

#[test]
fn score_file_takes_any_integers() {
    let expected = run(&input(DType::F64, 0)).unwrap().0;
    for dtype in [DType::I32, DType::I64, DType::U32] {
        let mut input = input(DType::F64, 0);
        for name in ["targets", "logit_lengths", "target_lengths", "blank"] {
            let cast = input[name].to_dtype(dtype).unwrap();
            input.insert(name.to_owned(), cast);
        }
        let (got, _) = run(&input).unwrap();
        for name in expected.keys() {
            close(name, &floats(&got, name), &floats(&expected, name), 0.0);
        }
    }
}

#[test]
fn score_file_needs_neither_blank_nor_costs_nor_lambda() {
    let full = input(DType::F64, 0);
    let expected = run(&full).unwrap().0;
    let mut without = full.clone();
    for name in ["blank", "costs", "lambda"] {
        without.remove(name);
    }
    let (got, _) = run(&without).unwrap();
    let mut names: Vec<_> = got.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "grad_logits",
            "loss",
            "posteriors",
            "viterbi_frames",
            "viterbi_score"
        ]
    );
    for name in names {
        close(name, &floats(&got, name), &floats(&expected, name), 0.0);
    }
    // Without lambda the costs are taken as they are.
    let (mut one, mut none) = (full.clone(), full);
    one.insert("lambda".to_owned(), Tensor::new(&[1.0f64], &Device::Cpu).unwrap());
    none.remove("lambda");
    let soft = |input: &Tensors| floats(&run(input).unwrap().0, "soft_cost");
    close("soft_cost", &soft(&none), &soft(&one), 0.0);
}

/// `tensor` with `value` where `chosen` says so of (b, t, u).
fn filled(tensor: &Tensor, chosen: impl Fn(usize, usize, usize) -> bool, value: f64) -> Tensor {
    let dims = tensor.dims().to_vec();
    let inner: usize = dims[3..].iter().product();
    let mut values = floats(&[("x".to_owned(), tensor.clone())].into(), "x");
    for (n, cell) in values.chunks_mut(inner).enumerate() {
        if chosen(n / (dims[1] * dims[2]), n / dims[2] % dims[1], n % dims[2]) {
            cell.fill(value);
        }
    }
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

#[test]
fn score_file_reads_no_padding() {
    let clean = input(DType::F64, 0);
    let expected = run(&clean).unwrap().0;
    for poison in [f64::NAN, f64::INFINITY] {
        let mut poisoned = clean.clone();
        let outside = |b: usize, t: usize, u: usize| t >= EXTENTS[b].0 || u > EXTENTS[b].1;
        poisoned.insert("logits".to_owned(), filled(&clean["logits"], outside, poison));
        let outside = |b: usize, t: usize, u: usize| t >= EXTENTS[b].0 || u >= EXTENTS[b].1;
        poisoned.insert("costs".to_owned(), filled(&clean["costs"], outside, poison));
        let (got, _) = run(&poisoned).unwrap();
        for name in expected.keys() {
            close(name, &floats(&got, name), &floats(&expected, name), 0.0);
        }
    }
}

#[test]
fn score_file_names_what_has_no_alignment_and_goes_on() {
    let clean = input(DType::F64, 0);
    let expected = run(&clean).unwrap().0;
    let mut input = clean.clone();
    // Utterance 1 has no frames; utterance 3 cannot emit anything but blanks.
    let frames: Vec<i64> = vec![4, 0, 3, 1];
    input.insert(
        "logit_lengths".to_owned(),
        Tensor::new(frames, &Device::Cpu).unwrap(),
    );
    let mut logits = floats(&clean, "logits");
    let per_utterance = logits.len() / EXTENTS.len();
    for (i, x) in logits[3 * per_utterance..].iter_mut().enumerate() {
        if i % VOCABULARY != 0 {
            *x = f64::NEG_INFINITY;
        }
    }
    let logits = Tensor::from_vec(logits, clean["logits"].dims(), &Device::Cpu).unwrap();
    input.insert("logits".to_owned(), logits);

    let (got, said) = run(&input).unwrap();
    assert_eq!(
        said,
        [
            "utterance 1 has no alignment: 1 labels over 0 frames",
            "utterance 3 has no alignment: 3 labels over 1 frames"
        ]
    );
    for name in expected.keys() {
        let (got, expected) = (floats(&got, name), floats(&expected, name));
        let each = got.len() / EXTENTS.len();
        for b in [0, 2] {
            let range = b * each..(b + 1) * each;
            close(name, &got[range.clone()], &expected[range], 0.0);
        }
        let worst = match name.as_str() {
            "loss" => f64::INFINITY,
            "viterbi_score" => f64::NEG_INFINITY,
            "viterbi_frames" => -1.0,
            _ => 0.0,
        };
        for b in [1, 3] {
            let all = got[b * each..(b + 1) * each].iter().all(|&x| x == worst);
            assert!(all, "{name} of utterance {b}: {got:?}");
        }
    }
}

#[test]
fn score_file_says_what_does_not_fit() {
    let int = |values: &[i64]| Tensor::new(values, &Device::Cpu).unwrap();
    let wrong = [
        (
            "target_lengths",
            int(&[3, 1, 0, 4]),
            "target_lengths: utterance 3: expected 0 to 3, got 4",
        ),
        (
            "logit_lengths",
            int(&[4, 2, 3]),
            "logit_lengths: expected 4 lengths, got 3",
        ),
        (
            "logit_lengths",
            int(&[4, 2, -3, 1]),
            "utterance 2: expected 0 to 4, got -3",
        ),
        ("targets", int(&[1; 12]), "targets: expected [4, 3], got [12]"),
        (
            "targets",
            int(&[-1; 12]).reshape((4, 3)).unwrap(),
            "utterance 0: -1 is no label",
        ),
        (
            "targets",
            Tensor::zeros((4, 3), DType::F32, &Device::Cpu).unwrap(),
            "expected i32, i64 or u32, got f32",
        ),
        (
            "blank",
            int(&[0, 0]),
            "blank and lambda: expected one element each",
        ),
        ("costs", int(&[1; 12]), "costs: expected [4, 4, 3], got [12]"),
    ];
    for (name, tensor, message) in wrong {
        let mut input = input(DType::F64, 0);
        input.insert(name.to_owned(), tensor);
        let error = format!("{:#}", run(&input).unwrap_err());
        assert!(error.contains(message), "{name}: {error}");
    }
    for name in ["logits", "targets", "logit_lengths", "target_lengths"] {
        let mut input = input(DType::F64, 0);
        input.remove(name);
        let error = format!("{:#}", run(&input).unwrap_err());
        assert_eq!(error, format!("the file has no tensor `{name}`"));
    }
}
