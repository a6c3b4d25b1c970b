"""The Conformer transducer of `sandhi-model`, as one writes it in PyTorch.

Modules are named as ours are, so that weights and gradients go from one to the other by name. Three differ in layout, see
`weights.py`: PyTorch's LSTM keeps its layers in one module, and its convolutions have the kernel's extents last.
"""

import torch
from torch import nn
from torch.nn import functional as F

DROPOUT = 0.1


def valid(lengths, extent):
    """True where a frame is one of an utterance's, `[B, extent]`."""
    return torch.arange(extent) < lengths.unsqueeze(1)


class Subsampling(nn.Module):
    """Two 3x3 convolutions of stride 2, then a linear map of what is left of the bins."""

    def __init__(self, bins, channels, dim):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, 2)
        self.conv2 = nn.Conv2d(channels, channels, 3, 2)
        after = ((bins - 3) // 2 + 1 - 3) // 2 + 1
        self.output = nn.Linear(after * channels, dim)
        # In this order of dimensions the convolutions are at their fastest, and nothing is moved before the linear map.
        self.to(memory_format=torch.channels_last)

    def forward(self, x, lengths):
        x = (x * valid(lengths, x.shape[1]).unsqueeze(2)).unsqueeze(1)
        x = F.silu(self.conv2(F.silu(self.conv1(x))))
        lengths = ((lengths - 3) // 2 + 1 - 3) // 2 + 1
        return self.output(x.permute(0, 2, 3, 1).flatten(2)), lengths


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.norm, self.expand, self.contract = nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x):
        return self.contract(F.dropout(F.silu(self.expand(self.norm(x))), DROPOUT, self.training))


class Attention(nn.Module):
    """Self-attention with the relative positions of Transformer-XL.

    `scaled_dot_product_attention` takes the scores of positions as a mask, but has no fused kernel for one with a gradient:
    on a CPU it is slower than this.
    """

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.position = nn.Linear(dim, dim, bias=False)
        self.biases = nn.Parameter(torch.zeros(2, dim))
        self.output = nn.Linear(dim, dim)

    def forward(self, x, positions, hidden):
        batch, frames, dim = x.shape
        q, k, v = self.qkv(x).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        r = self.position(positions).view(-1, self.heads, dim // self.heads).transpose(0, 1)
        content, position = self.biases.view(2, self.heads, 1, -1)
        by_offset = (q + position) @ r.transpose(1, 2)
        # Frame i meets frame j in column j - i + T - 1. Seen through these strides nothing is moved.
        strides = (*by_offset.stride()[:2], 2 * frames - 2, 1)
        shifted = by_offset.as_strided((batch, self.heads, frames, frames), strides, frames - 1)
        scores = ((q + content) @ k.transpose(2, 3) + shifted) * (dim // self.heads) ** -0.5
        weights = scores.masked_fill(hidden, float("-inf")).softmax(3)
        return self.output((weights @ v).transpose(1, 2).reshape(batch, frames, dim))


class Block(nn.Module):
    def __init__(self, dim, heads, kernel, hidden):
        super().__init__()
        self.before, self.after = FeedForward(dim, hidden), FeedForward(dim, hidden)
        self.attention_norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.conv_norm, self.conv_expand = nn.LayerNorm(dim), nn.Linear(dim, 2 * dim)
        # Over images of one row: as a Conv1d it takes four times as long, and two transposes.
        self.conv = nn.Conv2d(dim, dim, (1, kernel), padding=(0, kernel // 2), groups=dim)
        self.conv.to(memory_format=torch.channels_last)
        self.conv_middle, self.conv_contract = nn.LayerNorm(dim), nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x, positions, keep):
        drop = lambda z: F.dropout(z, DROPOUT, self.training)
        x = x + 0.5 * drop(self.before(x))
        x = x + drop(self.attention(self.attention_norm(x), positions, ~keep[:, None, None]))
        gated = F.glu(self.conv_expand(self.conv_norm(x)), 2) * keep.unsqueeze(2)
        convolved = self.conv(gated.unsqueeze(1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).squeeze(1)
        x = x + drop(self.conv_contract(F.silu(self.conv_middle(convolved))))
        x = x + 0.5 * drop(self.after(x))
        return self.norm(x)


class Encoder(nn.Module):
    """Subsampling and all blocks: those of the speech encoder, then those of the shared one."""

    def __init__(self, size):
        super().__init__()
        block = lambda: Block(size["dim"], size["heads"], size["kernel"], size["feed_forward"])
        named = lambda count: {f"block{i}": block() for i in range(count)}
        subsampling = Subsampling(size["num_bins"], size["channels"], size["dim"])
        self.speech = nn.ModuleDict({"subsampling": subsampling, **named(size["speech_blocks"])})
        self.shared = nn.ModuleDict(named(size["shared_blocks"]))
        self.positions = {}

    def forward(self, features, lengths):
        x, lengths = self.speech["subsampling"](features, lengths)
        keep = valid(lengths, x.shape[1])
        x = x * keep.unsqueeze(2)
        blocks = [block for name, block in self.speech.items() if name != "subsampling"]
        for block in [*blocks, *self.shared.values()]:
            x = block(x, self.sinusoids(*x.shape[1:]), keep)
        return x, lengths

    def sinusoids(self, frames, dim):
        """Row m encodes the offset m - (T - 1), `[2T-1, D]`. They are made once for every T."""
        if frames not in self.positions:
            offset = torch.arange(1 - frames, frames, dtype=torch.float64).unsqueeze(1)
            angle = offset / 10000 ** (torch.arange(dim, dtype=torch.float64) // 2 * 2 / dim)
            even = torch.arange(dim) % 2 == 0
            self.positions[frames] = torch.where(even, angle.sin(), angle.cos()).float()
        return self.positions[frames]


class Predictor(nn.Module):
    def __init__(self, size):
        super().__init__()
        dim, layers = size["predictor_dim"], size["predictor_layers"]
        self.embedding = nn.Embedding(size["vocabulary"], dim)
        self.lstm = nn.LSTM(dim, dim, layers, batch_first=True, dropout=DROPOUT)
        # One bias for a gate is enough; the other stays at zero and is not trained.
        for layer in range(layers):
            getattr(self.lstm, f"bias_hh_l{layer}").requires_grad_(False).zero_()

    def forward(self, targets):
        """Labels `[B, U]` to states `[B, U+1, P]`, with the blank before the first label."""
        x = self.embedding(F.pad(targets, (1, 0)))
        return self.lstm(F.dropout(x, DROPOUT, self.training))[0]


class Joiner(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.speech = nn.Linear(size["dim"], size["joiner_dim"])
        self.predicted = nn.Linear(size["predictor_dim"], size["joiner_dim"], bias=False)
        self.output = nn.Linear(size["joiner_dim"], size["vocabulary"])

    def forward(self, encoded, predicted):
        """The logits `[B, T, U+1, V]`."""
        return self.output(torch.tanh(self.speech(encoded).unsqueeze(2) + self.predicted(predicted).unsqueeze(1)))
