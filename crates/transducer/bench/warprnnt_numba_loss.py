"""NeMo's `warprnnt_numba` on the CPU, whose log-softmax is torch's."""

import numpy
import torch
import warprnnt_numba
from protocol import THREADS, serve
from warprnnt_numba.rnnt_loss.rnnt_pytorch import rnnt_loss

torch.set_num_threads(THREADS)


def make(inputs):
    logits = torch.from_numpy(numpy.array(inputs["logits"])).requires_grad_()
    targets, frames, labels = (
        torch.from_numpy(numpy.array(inputs[name])) for name in ("targets", "logit_lengths", "target_lengths")
    )

    def call():
        loss = rnnt_loss(logits, targets, frames, labels, blank=0, reduction="none")
        loss.sum().backward()
        gradient, logits.grad = logits.grad, None
        return loss.detach(), {"logits": gradient}

    return call, call


serve(f"warprnnt_numba {warprnnt_numba.__version__}, torch {torch.__version__}", make)
