"""torchaudio's `rnnt_loss` with the fused log-softmax."""

import numpy
import torch
import torchaudio
from protocol import THREADS, serve

torch.set_num_threads(THREADS)


def make(inputs):
    logits = torch.from_numpy(numpy.array(inputs["logits"])).requires_grad_()
    targets, frames, labels = (
        torch.from_numpy(numpy.array(inputs[name])) for name in ("targets", "logit_lengths", "target_lengths")
    )

    def call():
        logits.grad = None
        loss = torchaudio.functional.rnnt_loss(
            logits, targets, frames, labels, blank=0, reduction="none", fused_log_softmax=True
        )
        loss.sum().backward()
        gradient, logits.grad = logits.grad, None
        return loss.detach(), {"logits": gradient}

    return call, call


serve(f"torchaudio {torchaudio.__version__}, torch {torch.__version__}", make)
