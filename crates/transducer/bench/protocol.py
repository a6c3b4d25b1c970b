"""What the workers of `cargo xtask bench` share: inputs, clock, memory, and the lines they speak.

A worker is started as `python WORKER.py INPUTS.safetensors THREADS`, and what it does besides. It says `{"ready": VERSIONS}` and then answers each
line with a line, as `examples/bench_worker/protocol.rs` does:

    {"do": "run"}                             {"ms": M}
    {"do": "peak"}                            {"ms": M, "mb": P}
    {"do": "check", "reference": FILE}        {"loss": D, "gradient": D, "scale": [L, G], "values": N}
    {"do": "quit"}

What cannot be done is answered by `{"error": WHY}`.
"""

import json
import os
import sys
import time

import numpy

INPUTS, THREADS = sys.argv[1], int(sys.argv[2])
DTYPES = {"F32": numpy.float32, "F64": numpy.float64, "I32": numpy.int32, "I64": numpy.int64}

# Whatever a library prints goes to standard error: standard output is for lines of the protocol.
_lines = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def read(path):
    """The tensors of a safetensors file, mapped and not yet read."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, dtype, shape = 8 + size + entry["data_offsets"][0], DTYPES[entry["dtype"]], tuple(entry["shape"])
        tensors[name] = numpy.memmap(path, dtype, "r", start, shape)
    return tensors


def tiny(inputs):
    """Inputs of the same kind and next to no size, to load lazily loaded libraries and to compile what is compiled."""
    batch, frames, labels, vocabulary, hidden = 1, 4, 2, 5, 8
    shapes = {
        "logits": (batch, frames, labels + 1, vocabulary),
        "speech": (batch, frames, hidden),
        "predicted": (batch, labels + 1, hidden),
        "weight": (vocabulary, hidden),
        "bias": (vocabulary,),
    }
    small = {name: numpy.full(shape, 0.5, numpy.float32) for name, shape in shapes.items() if name in inputs}
    small["targets"] = numpy.ones((batch, labels), numpy.int32)
    small["logit_lengths"] = numpy.array([frames], numpy.int32)
    small["target_lengths"] = numpy.array([labels], numpy.int32)
    return small


def serve(versions, make, small=tiny):
    """Answers until told to quit.

    `make(inputs)` returns two functions of nothing. The first does one call; what it returns is freed when the clock has
    stopped. The second returns what is compared: the losses, and the gradients by name, as anything that `numpy.asarray`
    takes. `small(inputs)` makes inputs of next to no size.
    """
    try:
        inputs = read(INPUTS)
        make(small(inputs))[0]()
        call, check = make(inputs)
    except Exception as error:
        return _say(error=f"{type(error).__name__}: {error}")
    _say(ready=versions)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "quit":
            return
        try:
            _say(**_answer(call, check, asked))
        except Exception as error:
            _say(error=f"{type(error).__name__}: {error}")


def _answer(call, check, asked):
    if asked["do"] == "check":
        return _differences(check(), read(asked["reference"]))
    before = _reset_peak() if asked["do"] == "peak" else None
    begun = time.perf_counter()
    found = call()
    answer = {"ms": (time.perf_counter() - begun) * 1e3}
    if before is not None:
        answer["mb"] = max(0, _memory("VmHWM:") - before) * 1.024e-3
    del found
    return answer


def _differences(found, reference):
    """The largest differences from the reference, an utterance (or a row) at a time to spare memory."""
    losses, gradients = found
    asked = {name.removeprefix("gradient.") for name in reference if name.startswith("gradient.")}
    assert asked == gradients.keys(), f"expected gradients of {sorted(asked)}, got {sorted(gradients)}"
    worst, scale, values = 0.0, 0.0, 0
    for name, got in gradients.items():
        got, expected = numpy.asarray(got), reference[f"gradient.{name}"]
        assert got.shape == expected.shape, f"{name}: {got.shape} for {expected.shape}"
        values += got.size
        for row, wanted in zip(got, expected):
            scale = max(scale, float(numpy.abs(wanted).max()))
            worst = numpy.fmax(worst, numpy.abs(row - wanted).max()) if numpy.isfinite(row).all() else numpy.inf
    scale = [float(numpy.abs(reference["loss"]).max()), scale]
    losses = numpy.abs(numpy.asarray(losses, numpy.float64) - reference["loss"])
    number = lambda x: float(x) if numpy.isfinite(x) else 1e300
    return {"loss": number(losses.max()), "gradient": number(worst), "scale": scale, "values": values}


def _reset_peak():
    """Forgets the peak so far and returns the memory held now, in KiB."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass  # Then the peak counts from the start of the process.
    return _memory("VmRSS:")


def _memory(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def _say(**line):
    print(json.dumps(line), file=_lines, flush=True)
