"""Golden log-mel features from torchaudio, for tests/golden.rs.

    pip install torch==2.11.0 torchaudio==2.11.0 numpy safetensors
    python make.py

Every case has torchaudio's features twice: as its users get them, computed in f32, and computed by the same code in
f64 (and then rounded), which shows how much of a difference is the rounding of the reference.

Every case is a synthetic waveform of 16-bit samples (a fixed linear congruential generator makes the noise, so
that no library version changes the input). The settings of a case are in the metadata of the file, as JSON.
"""

import json
import math
import pathlib
import sys

import numpy
import safetensors
import torch
import torchaudio
from safetensors.torch import save_file
from torchaudio.compliance import kaldi

HERE = pathlib.Path(__file__).parent
KALDI = dict(sample_rate=16000, window_ms=25.0, shift_ms=10.0, num_bins=80, preemphasis=0.97, low_hz=20.0, high_hz=0.0)


def noise(length, seed):
    """Uniform in -1..1."""
    state, out = seed, []
    for _ in range(length):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 33) / 2**30 - 1.0)
    return out


def mixture(length, seed, rate=16000, level=0.2, floor=0.01, dc=0.0):
    """A chirp from 100 Hz to 7/16 of the rate, three tones, and noise."""
    seconds, hiss = length / rate, noise(length, seed)
    out = []
    for n in range(length):
        t = n / rate
        chirp = math.sin(2 * math.pi * (100 * t + (0.4375 * rate - 100) * t * t / (2 * seconds)))
        tones = sum(math.sin(2 * math.pi * hz * t) for hz in (220.0, 1234.5, 3210.0)) / 3
        out.append(level * (chirp + tones) / 2 + floor * hiss[n] + dc)
    return out


def quantize(samples):
    return torch.tensor([max(-32768, min(32767, round(32768 * x))) for x in samples], dtype=torch.int16)


def fbank(samples, dtype, sample_rate, window_ms, shift_ms, num_bins, preemphasis, low_hz, high_hz):
    # Kaldi's convention: samples as 16-bit integers, not in -1..1.
    return kaldi.fbank(
        samples.to(dtype).unsqueeze(0),
        sample_frequency=sample_rate,
        frame_length=window_ms,
        frame_shift=shift_ms,
        num_mel_bins=num_bins,
        preemphasis_coefficient=preemphasis,
        low_freq=low_hz,
        high_freq=high_hz,
        dither=0.0,
        energy_floor=0.0,
        raw_energy=False,
        use_energy=False,
        remove_dc_offset=True,
        snip_edges=True,
        window_type="povey",
    )


cases = {
    "mixture": (mixture(24000, 1), {}),
    "one_frame": (mixture(400, 2), {}),
    "one_frame_and_a_rest": (mixture(559, 3), {}),
    "two_frames": (mixture(560, 4), {}),
    "odd_length": (mixture(7919, 5), {}),
    "loud_and_clipped": (mixture(8000, 6, level=2.5), {}),
    "dc_offset": (mixture(8000, 7, dc=0.3), {}),
    "last_bit": ([x / 32768 for x in noise(8000, 8)], {}),
    "silence": ([0.0] * 2000, {}),
    "noise_between_silences": ([0.0] * 1500 + [0.1 * x for x in noise(3000, 9)] + [0.0] * 1500, {}),
    "telephone": (
        mixture(8000, 10, rate=8000),
        dict(sample_rate=8000, window_ms=20.0, shift_ms=8.0, num_bins=23, preemphasis=0.9, low_hz=100.0, high_hz=-200.0),
    ),
    "no_preemphasis": (mixture(8000, 11), dict(preemphasis=0.0, num_bins=40, low_hz=0.0, high_hz=7600.0)),
}

tensors, settings = {}, {}
for name, (samples, changes) in cases.items():
    settings[name] = KALDI | changes
    tensors[f"{name}.samples"] = quantize(samples)
    for kind, dtype in ("features", torch.float32), ("exact", torch.float64):
        values = fbank(tensors[f"{name}.samples"], dtype, **settings[name])
        tensors[f"{name}.{kind}"] = values.to(torch.float32).contiguous()

versions = {
    "python": sys.version.split()[0],
    "torch": torch.__version__,
    "torchaudio": torchaudio.__version__,
    "numpy": numpy.__version__,
    "safetensors": safetensors.__version__,
}
save_file(tensors, HERE / "fbank.safetensors", metadata={"settings": json.dumps(settings)} | versions)
(HERE / "versions.txt").write_text("".join(f"{name} {version}\n" for name, version in versions.items()))
