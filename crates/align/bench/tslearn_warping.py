"""tslearn's dynamic time warping, hard and soft, an utterance at a time."""

import importlib.metadata

import numpy
import tslearn
from alignments import TASK, TEMPERATURE, costs, small, totals
from protocol import serve
from tslearn.metrics import SoftDTW, dtw_path_from_metric


def hard(inputs):
    given = costs(inputs, numpy.float64)

    def call():
        return [dtw_path_from_metric(cost, metric="precomputed") for cost in given]

    return call, lambda: totals(inputs, call())


def soft(inputs):
    given = costs(inputs, numpy.float64)

    def one(cost):
        warping = SoftDTW(cost, gamma=TEMPERATURE)
        return warping.compute(), warping.grad()

    def call():
        losses, gradients = zip(*map(one, given))
        return losses, {"cost": numpy.stack(gradients)}

    return call, call


make = {"warping": hard, "soft": soft}[TASK]
serve(f"tslearn {tslearn.__version__}, numba {importlib.metadata.version('numba')}, 1 thread", make, small)
