"""torchaudio's `compliance.kaldi.fbank`, file by file, for `cargo xtask bench audio`.

Started as `python torchaudio_fbank.py THREADS`, it says `{"ready": VERSIONS}` and then answers each line with a line:

    {"samples": FILE, "features": FILE, "dtype": "float32" or "float64"}       {"ms": M}

Samples are f32 in -1..1 at 16 kHz, features f32 `[T, 80]` in rows, computed in that type. What cannot be done is answered
by `{"error": WHY}`.
"""

import json
import os
import sys
import time

import numpy
import torch
import torchaudio

# Whatever a library prints goes to standard error: standard output is for lines of the protocol.
lines = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
torch.set_num_threads(int(sys.argv[1]))


def say(line):
    print(json.dumps(line), file=lines, flush=True)


def answer(question):
    samples = torch.from_numpy(numpy.fromfile(question["samples"], numpy.float32))
    samples = samples.to(getattr(torch, question["dtype"]))
    begun = time.perf_counter()
    features = torchaudio.compliance.kaldi.fbank(
        samples[None] * 32768, num_mel_bins=80, sample_frequency=16000, dither=0.0
    )
    taken = time.perf_counter() - begun
    features.float().numpy().tofile(question["features"])
    return {"ms": taken * 1e3}


say({"ready": f"torchaudio {torchaudio.__version__}, torch {torch.__version__}"})
for line in sys.stdin:
    try:
        say(answer(json.loads(line)))
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
