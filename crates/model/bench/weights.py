"""Our names and layouts, and PyTorch's."""

import re

import numpy
import torch

NAMES = [
    (r"embedding\.table$", "embedding.weight"),
    (r"lstm(\d+)\.input\.(weight|bias)$", r"lstm.\2_ih_l\1"),
    (r"lstm(\d+)\.recurrent$", r"lstm.weight_hh_l\1"),
]


def theirs(name):
    """PyTorch's name of one of our parameters."""
    for ours, other in NAMES:
        name = re.sub(ours, other, name)
    return name


def depthwise(parameter):
    """Whether it is the weight of a convolution along time, `[C, 1, 1, K]`."""
    return parameter.dim() == 4 and parameter.shape[2] == 1


def as_theirs(values, parameter):
    """An array of ours in the layout of a parameter of PyTorch's."""
    values = torch.from_numpy(numpy.array(values))
    if depthwise(parameter):
        # [K, C].
        values = values.t()[:, None, None]
    elif parameter.dim() == 4:
        # [N, 9C], the kernel's extents first.
        values = values.view(len(values), 3, 3, -1).permute(0, 3, 1, 2)
    assert values.shape == parameter.shape, f"{values.shape} for {parameter.shape}"
    return torch.empty_like(parameter).copy_(values)


def load(module, inputs):
    """Sets every trained parameter of a module from the inputs. Returns them by our names."""
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    by_our_names = {}
    for key in sorted(key for key in inputs if key.startswith("parameter.")):
        name = key.removeprefix("parameter.")
        parameter = trained.pop(theirs(name))
        with torch.no_grad():
            parameter.copy_(as_theirs(inputs[key], parameter))
        by_our_names[name] = parameter
    assert not trained, f"not among the inputs: {sorted(trained)}"
    return by_our_names


def ours(values):
    """Values of a parameter, or of its gradient, in our layout."""
    if depthwise(values):
        values = values[:, 0, 0].t()
    elif values.dim() == 4:
        values = values.permute(0, 2, 3, 1).flatten(1)
    return values.detach().contiguous()
