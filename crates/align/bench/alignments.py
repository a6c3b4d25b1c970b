"""What the workers of `cargo xtask bench align` share: their inputs, and what a path costs once it is seen to be one.

Each is started as `python WORKER.py INPUTS.safetensors THREADS TASK`, with a task of `examples/align_worker/task.rs`.
"""

import sys

import numpy

TASK = sys.argv[3]
STEPS = {"forced": {(1, 0), (1, 1)}, "warping": {(1, 0), (0, 1), (1, 1)}}
# What the soft alignments are told; it is also what they take unless told.
TEMPERATURE = 1.0


def costs(inputs, dtype):
    """The costs of each utterance, `[T, U]`, in the type that a library computes with."""
    return [numpy.array(cost, dtype) for cost in inputs["cost"]]


def small(inputs):
    """Inputs of the same kind and next to no size, to load what is loaded lazily and to compile what is compiled."""
    speech, text = numpy.array([[0.0, 1.0, 2.0]]), numpy.array([[0.5, 1.5]])
    return {"speech": speech, "text": text, "cost": numpy.square(speech[:, :, None] - text[:, None, :], dtype=numpy.float32)}


def total(cost, path):
    """What a path costs, in f64. It must be one: from the first cell to the last, in steps that the task allows."""
    path = numpy.asarray(path)
    ends, corners = path[[0, -1]].tolist(), [[0, 0], [cost.shape[0] - 1, cost.shape[1] - 1]]
    assert ends == corners, f"expected a path between {corners}, got one between {ends}"
    steps = {tuple(step) for step in numpy.diff(path, axis=0).tolist()}
    assert steps <= STEPS[TASK], f"expected steps {STEPS[TASK]}, got {steps}"
    return cost[path[:, 0], path[:, 1]].sum(dtype=numpy.float64)


def totals(inputs, found):
    """What is compared of paths, and of the distances that came with them (None if none did)."""
    paths = [total(cost, path) for cost, (path, _) in zip(inputs["cost"], found, strict=True)]
    said = [path if distance is None else distance for path, (_, distance) in zip(paths, found)]
    assert numpy.allclose(paths, said, rtol=1e-5), f"paths cost {paths}, and are said to cost {said}"
    return paths, {}
