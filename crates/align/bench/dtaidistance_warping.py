"""dtaidistance in C, an utterance at a time. It takes no costs, but the series that they are the squared differences of, so it
reads less than the others and computes the costs on the way. Its distance is the root of theirs."""

import dtaidistance
import numpy
from alignments import TASK, small, totals
from dtaidistance.dtw import distance_fast, warping_path_fast
from protocol import serve


def make(inputs):
    given = [(numpy.array(speech), numpy.array(text)) for speech, text in zip(inputs["speech"], inputs["text"])]

    def call():
        if TASK == "distance":
            return [distance_fast(speech, text) for speech, text in given]
        return [warping_path_fast(speech, text, include_distance=True) for speech, text in given]

    def check():
        if TASK == "distance":
            return numpy.square(call()), {}
        return totals(inputs, [(path, distance**2) for path, distance in call()])

    return call, check


serve(f"dtaidistance {dtaidistance.__version__}, from the series, 1 thread", make, small)
