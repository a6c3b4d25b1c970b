"""The package `monotonic-alignment-search`, Glow-TTS's kernel in Cython: all utterances in a call, shared by threads."""

import importlib.metadata

import numpy
import torch
from alignments import small, totals
from monotonic_alignment_search import maximum_path
from protocol import THREADS, serve

torch.set_num_threads(THREADS)


def make(inputs):
    # It maximises, and has the text first.
    value = -torch.from_numpy(numpy.array(inputs["cost"])).transpose(1, 2).contiguous()
    mask = torch.ones_like(value)

    def call():
        return maximum_path(value, mask)

    def check():
        labels = call().argmax(1).numpy()
        frames = numpy.arange(labels.shape[1])
        return totals(inputs, [(numpy.stack([frames, row], 1), None) for row in labels])

    return call, check


version = importlib.metadata.version("monotonic-alignment-search")
serve(f"monotonic-alignment-search {version}, torch {torch.__version__}", make, small)
