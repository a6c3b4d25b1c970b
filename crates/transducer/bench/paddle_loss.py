"""Paddle's `rnnt_loss`, built on warp-transducer, behind its log-softmax."""

import numpy
import paddle
from protocol import THREADS, serve

paddle.set_device("cpu")
paddle.base.core.set_num_threads(THREADS)


def make(inputs):
    logits = paddle.to_tensor(numpy.array(inputs["logits"]), stop_gradient=False)
    targets, frames, labels = (
        paddle.to_tensor(numpy.array(inputs[name])) for name in ("targets", "logit_lengths", "target_lengths")
    )

    def call():
        # On the CPU it takes log-probabilities.
        log_probs = paddle.nn.functional.log_softmax(logits)
        loss = paddle.nn.functional.rnnt_loss(
            log_probs, targets, frames, labels, blank=0, fastemit_lambda=0.0, reduction="none"
        )
        (gradient,) = paddle.grad(loss.sum(), logits)
        return loss.numpy().reshape(-1), {"logits": gradient}

    return call, call


serve(f"paddle {paddle.__version__}", make)
