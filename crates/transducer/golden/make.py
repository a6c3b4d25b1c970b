"""Golden losses and gradients, for tests/golden.rs: RNN-T from torchaudio, CTC from torch.

    pip install torch==2.11.0 torchaudio==2.11.0 numpy safetensors
    python make.py

`rnnt.safetensors` has for every case what torchaudio's users get from `rnnt_loss` on the CPU, in f32 with the fused
log-softmax: one loss per utterance, and the gradient of their sum with respect to the logits. `ctc.safetensors` has the
same from `torch.nn.functional.ctc_loss` behind `log_softmax`, in f64, with the gradient taken through both.

The logits are drawn by a fixed linear congruential generator, so that no library version changes the input, and those in
the padding are like the others: whoever reads them is found out. The settings of a case are in the metadata of the
file, as JSON.
"""

import json
import pathlib
import sys

import numpy
import safetensors
import torch
import torchaudio
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


class Draws:
    """Uniform numbers from a seed."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        """In -1..1."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) / 2**30 - 1.0

    def logits(self, shape, scale, dtype):
        count = torch.Size(shape).numel()
        return torch.tensor([scale * self.uniform() for _ in range(count)], dtype=torch.float64).to(dtype).reshape(shape)

    def labels(self, rows, columns, vocabulary, blank):
        """Any label but the blank; the padding has labels too."""
        ids = [v for v in range(vocabulary) if v != blank]
        pick = lambda: ids[int((self.uniform() + 1) / 2 * len(ids))]
        return torch.tensor([[pick() for _ in range(columns)] for _ in range(rows)], dtype=torch.int32).reshape(rows, columns)


# name: vocabulary, blank, frames of each utterance, labels of each utterance, and what else differs
RNNT = {
    "one_utterance": (5, 0, [4], [2], {}),
    "ragged": (7, 0, [9, 6, 9, 1], [3, 5, 1, 2], {}),
    "blank_last": (8, 7, [6, 4, 5], [4, 2, 3], {}),
    "blank_inside": (6, 2, [5, 7], [3, 3], {}),
    "an_empty_transcript": (5, 0, [6, 4], [3, 0], {}),
    "one_frame": (6, 0, [1, 1], [4, 1], {}),
    "more_labels_than_frames": (6, 0, [3, 2], [7, 5], {}),
    # A larger loss, and torchaudio's own rounding shows: its recursions run in f32.
    "long": (3, 0, [40, 31], [12, 9], dict(scale=1.0)),
    "wide": (96, 0, [5, 4], [3, 2], {}),
    "confident": (7, 0, [8, 6], [4, 3], dict(scale=10.0)),
    "clamped": (7, 0, [9, 6], [4, 5], dict(clamp=0.05)),
    "clamped_blank_last": (7, 6, [8, 5], [3, 2], dict(clamp=0.2)),
}
CTC = {
    "one_utterance": (5, 0, [4], [2], {}),
    "ragged": (7, 0, [12, 9, 12, 3], [3, 4, 1, 1], {}),
    "blank_last": (8, 7, [9, 7, 8], [4, 2, 3], {}),
    "an_empty_transcript": (5, 0, [6, 4], [3, 0], {}),
    "repeated_labels": (4, 0, [10, 8], [4, 3], dict(labels=[[2, 2, 2, 1], [3, 3, 1, 1]])),
    "long": (6, 0, [60, 45], [14, 11], {}),
    "confident": (7, 0, [12, 9], [4, 3], dict(scale=30.0)),
}


def rnnt_loss(logits, targets, frames, labels, blank, clamp):
    return torchaudio.functional.rnnt_loss(
        logits,
        targets,
        torch.tensor(frames, dtype=torch.int32),
        torch.tensor(labels, dtype=torch.int32),
        blank=blank,
        clamp=clamp,
        reduction="none",
        fused_log_softmax=True,
    )


def ctc_loss(logits, targets, frames, labels, blank, clamp):
    assert clamp < 0, "ctc_loss has no clamp"
    log_probs = torch.nn.functional.log_softmax(logits, dim=-1).transpose(0, 1)
    frames, labels = torch.tensor(frames), torch.tensor(labels)
    return torch.nn.functional.ctc_loss(log_probs, targets.long(), frames, labels, blank=blank, reduction="none")


def make(file, cases, loss_of, dtype, shape_of):
    tensors, settings = {}, {}
    for seed, (name, (vocabulary, blank, frames, labels, rest)) in enumerate(cases.items(), start=1):
        draws = Draws(seed)
        batch, num_labels = len(frames), max(labels)
        shape = shape_of(batch, max(frames), num_labels, vocabulary)
        logits = draws.logits(shape, rest.get("scale", 3.0), dtype).requires_grad_()
        if "labels" in rest:
            targets = torch.tensor(rest["labels"], dtype=torch.int32)
        else:
            targets = draws.labels(batch, num_labels, vocabulary, blank)
        clamp = rest.get("clamp", -1.0)
        loss = loss_of(logits, targets, frames, labels, blank, clamp)
        loss.sum().backward()
        assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all(), name
        settings[name] = dict(blank=blank, clamp=clamp, frames=frames, labels=labels)
        tensors[f"{name}.logits"] = logits.detach()
        tensors[f"{name}.targets"] = targets
        tensors[f"{name}.loss"] = loss.detach()
        tensors[f"{name}.gradient"] = logits.grad
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / file, metadata={"settings": json.dumps(settings)} | VERSIONS)


VERSIONS = {
    "python": sys.version.split()[0],
    "torch": torch.__version__,
    "torchaudio": torchaudio.__version__,
    "numpy": numpy.__version__,
    "safetensors": safetensors.__version__,
}
make("rnnt.safetensors", RNNT, rnnt_loss, torch.float32, lambda b, t, u, v: (b, t, u + 1, v))
make("ctc.safetensors", CTC, ctc_loss, torch.float64, lambda b, t, u, v: (b, t, v))
