"""A joiner written with tensors, and torchaudio's loss: what our fused joiner stands in for."""

import numpy
import torch
import torchaudio
from protocol import THREADS, serve

torch.set_num_threads(THREADS)
NAMES = ("speech", "predicted", "weight", "bias")


def make(inputs):
    values = {name: torch.from_numpy(numpy.array(inputs[name])).requires_grad_() for name in NAMES}
    targets, frames, labels = (
        torch.from_numpy(numpy.array(inputs[name])) for name in ("targets", "logit_lengths", "target_lengths")
    )

    def call():
        speech, predicted, weight, bias = (values[name] for name in NAMES)
        hidden = torch.tanh(speech.unsqueeze(2) + predicted.unsqueeze(1))
        logits = torch.nn.functional.linear(hidden, weight, bias)
        loss = torchaudio.functional.rnnt_loss(
            logits, targets, frames, labels, blank=0, reduction="none", fused_log_softmax=True
        )
        loss.sum().backward()
        gradients = {name: value.grad for name, value in values.items()}
        for value in values.values():
            value.grad = None
        return loss.detach(), gradients

    return call, call


serve(f"torchaudio {torchaudio.__version__}, torch {torch.__version__}", make)
