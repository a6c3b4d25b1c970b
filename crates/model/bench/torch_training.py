"""PyTorch's side of `cargo xtask bench training`: the same model, the same step, the same pieces.

Started as `python torch_training.py INPUTS.safetensors THREADS PIECE SIZE`, with the size as JSON.
"""

import json
import sys

import numpy
import torch
import torchaudio
from protocol import THREADS, serve
from torch.nn.utils.rnn import pad_sequence
from torchaudio.compliance import kaldi
from torch_model import Encoder, Joiner, Predictor
from weights import as_theirs, load, ours

torch.set_num_threads(THREADS)
PIECE, SIZE = sys.argv[3], json.loads(sys.argv[4])
CLIP, RATE = 5.0, 1e-3


def tensor(inputs, name):
    return torch.from_numpy(numpy.array(inputs[name]))


def optimizer(parameters):
    """AdamW in one fused pass, without decay of biases and norms."""
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), eps=1e-9, fused=True)


def rnnt_loss(logits, targets, frames, labels):
    return torchaudio.functional.rnnt_loss(
        logits, targets, frames, labels, blank=0, reduction="none", fused_log_softmax=True
    )


class Transducer(Encoder):
    """The whole model: an encoder, a predictor, a joiner."""

    def __init__(self):
        super().__init__(SIZE)
        self.predictor, self.joiner = Predictor(SIZE), Joiner(SIZE)

    def forward(self, features, lengths, targets, labels):
        encoded, frames = super().forward(features, lengths)
        return rnnt_loss(self.joiner(encoded, self.predictor(targets)), targets, frames.int(), labels)


def under(name, module):
    """A module as part of a model, so that its parameters have their full names."""
    return torch.nn.ModuleDict({name: module})


def passes(module, losses, parameters, leaves):
    """A pass forwards and backwards, timed with dropout and compared without."""

    def gradients():
        found = {name: value.grad for name, value in (parameters | leaves).items()}
        for value in [*parameters.values(), *leaves.values()]:
            value.grad = None
        return found

    def call():
        losses().sum().backward()
        return gradients()

    def check():
        module.eval()
        found = losses()
        found.sum().backward()
        module.train()
        return found.detach(), {
            name: ours(gradient) if name in parameters else gradient for name, gradient in gradients().items()
        }

    return call, check


def make_step(inputs):
    model = Transducer()
    parameters = load(model, inputs)
    batch = [tensor(inputs, name) for name in ("features", "feature_lengths", "targets", "target_lengths")]
    adam, trained = optimizer(list(parameters.values())), list(parameters.values())

    def call():
        adam.zero_grad(set_to_none=True)
        loss = model(*batch).mean()
        loss.item()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        adam.step()

    def check():
        load(model, inputs)
        adam.zero_grad(set_to_none=True)
        return passes(model, lambda: model(*batch), parameters, {})[1]()

    return call, check


def make_encoder(inputs):
    encoder = Encoder(SIZE)
    parameters = load(encoder, inputs)
    features, lengths, slope = (tensor(inputs, name) for name in ("features", "feature_lengths", "slope"))

    def losses():
        encoded, frames = encoder(features, lengths)
        keep = torch.arange(encoded.shape[1]) < frames.unsqueeze(1)
        return (encoded * (slope * keep.unsqueeze(2))).sum((1, 2))

    return passes(encoder, losses, parameters, {})


def make_predictor(inputs):
    predictor = Predictor(SIZE)
    model = under("predictor", predictor)
    parameters = load(model, inputs)
    targets, labels, slope = (tensor(inputs, name) for name in ("targets", "target_lengths", "slope"))
    slope = slope * (torch.arange(slope.shape[1]) <= labels.unsqueeze(1)).unsqueeze(2)
    return passes(model, lambda: (predictor(targets) * slope).sum((1, 2)), parameters, {})


def make_joiner(inputs):
    joiner = Joiner(SIZE)
    model = under("joiner", joiner)
    parameters = load(model, inputs)
    leaves = {name: tensor(inputs, name).requires_grad_() for name in ("encoded", "predicted")}
    rest = [tensor(inputs, name) for name in ("targets", "encoded_lengths", "target_lengths")]
    return passes(model, lambda: rnnt_loss(joiner(**leaves), *rest), parameters, leaves)


def make_optimizer(inputs):
    model = Transducer()

    def start():
        parameters = load(model, inputs)
        for name, parameter in parameters.items():
            parameter.grad = as_theirs(inputs[f"slope.{name}"], parameter)
        return parameters, optimizer(list(parameters.values()))

    def update(parameters, adam):
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), CLIP)
        adam.step()
        return norm

    def check():
        parameters, adam = start()
        norms = [update(parameters, adam)]
        # The gradients of the second update are the squares of the first, before they were clipped.
        for name, parameter in parameters.items():
            parameter.grad = as_theirs(inputs[f"slope.{name}"], parameter) ** 2
        norms.append(update(parameters, adam))
        found = {name: ours(parameter) for name, parameter in parameters.items()}
        return torch.stack(norms).double(), found

    parameters, adam = start()
    return lambda: update(parameters, adam), check


def make_data(inputs):
    samples, lengths = tensor(inputs, "samples"), inputs["sample_lengths"].tolist()
    waveforms = [row[:length].clone() for row, length in zip(samples, lengths)]
    masks = torchaudio.transforms.SpecAugment(2, 25, 2, 15, iid_masks=False, p=0.1)

    def features(waveform):
        # Kaldi's convention: samples as 16-bit integers, not in -1..1.
        made = kaldi.fbank(32768 * waveform.unsqueeze(0), num_mel_bins=SIZE["num_bins"], dither=0.0)
        std, mean = torch.std_mean(made, 0, correction=0)
        return (made - mean) / std.clamp_min(1e-5)

    def call():
        made = [masks(features(waveform).t().unsqueeze(0)).squeeze(0).t() for waveform in waveforms]
        return pad_sequence(made, batch_first=True)

    def check():
        made = [features(waveform) for waveform in waveforms]
        frames = torch.tensor([len(features) for features in made], dtype=torch.float64)
        return frames, {"features": pad_sequence(made, batch_first=True)}

    return call, check


def make_product(inputs):
    x, weight = tensor(inputs, "x"), tensor(inputs, "weight")
    bias = torch.zeros(len(weight))
    call = lambda: torch.nn.functional.linear(x, weight, bias)
    return call, lambda: (torch.zeros(1), {"y": call()})


def small(inputs):
    """The same parameters, and as little as goes with them: what libraries load and choose is loaded and chosen."""
    small = dict(inputs)
    for name, least in {"features": 32, "targets": 2, "samples": 1600}.items():
        if name in inputs:
            small[name] = inputs[name][:1, :least]
    if "encoded" in inputs:
        small["encoded"] = inputs["encoded"][:1, :7]
        small["predicted"] = inputs["predicted"][:1, :3]
    if "slope" in inputs:
        small["slope"] = inputs["slope"][:1, : 3 if PIECE == "predictor" else 7]
    lengths = {"feature_lengths": 32, "target_lengths": 2, "sample_lengths": 1600, "encoded_lengths": 7}
    return small | {name: numpy.array([n], numpy.int32) for name, n in lengths.items() if name in inputs}


PIECES = {
    "step": make_step,
    "encoder": make_encoder,
    "predictor": make_predictor,
    "joiner": make_joiner,
    "optimizer": make_optimizer,
    "data": make_data,
    "product": make_product,
}
serve(f"torch {torch.__version__}, torchaudio {torchaudio.__version__}", PIECES[PIECE], small)
