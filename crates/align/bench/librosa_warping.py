"""librosa's dynamic time warping, an utterance at a time; with other steps it is forced alignment."""

import importlib.metadata

import librosa
import numpy
from alignments import TASK, costs, small, totals
from protocol import serve

STEPS = {"warping": None, "forced": numpy.array([[1, 1], [1, 0]])}


def make(inputs):
    # It adds up in f64.
    given = costs(inputs, numpy.float64)

    def call():
        return [librosa.sequence.dtw(C=cost, step_sizes_sigma=STEPS[TASK]) for cost in given]

    def check():
        return totals(inputs, [(path[::-1], table[-1, -1]) for table, path in call()])

    return call, check


serve(f"librosa {librosa.__version__}, numba {importlib.metadata.version('numba')}, 1 thread", make, small)
