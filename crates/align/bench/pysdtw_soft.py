"""pysdtw's soft-DTW on the CPU: all utterances in a call, shared by threads."""

import numpy
import pysdtw
import torch
from alignments import TEMPERATURE, small
from protocol import THREADS, serve

torch.set_num_threads(THREADS)


def make(inputs):
    cost = torch.from_numpy(numpy.array(inputs["cost"])).requires_grad_()
    # It asks a distance for the costs; of the series only the extents matter then.
    speech, text = (torch.from_numpy(numpy.array(inputs[name])).unsqueeze(2) for name in ("speech", "text"))
    warping = pysdtw.SoftDTW(gamma=TEMPERATURE, dist_func=lambda _speech, _text: cost, use_cuda=False)

    def call():
        loss = warping(speech, text)
        loss.sum().backward()
        gradient, cost.grad = cost.grad, None
        return loss.detach(), {"cost": gradient}

    return call, call


serve(f"pysdtw {pysdtw.__version__}, torch {torch.__version__}", make, small)
