"""One block of a transformer: attention over a sequence, then a perceptron at each place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft as wf

HEADS = 4


def block_parameters(width: int, rng: np.random.Generator) -> dict[str, Any]:
    """Weights of a block for vectors of `width`."""

    def weights(inputs: int, outputs: int) -> Any:
        return wf.asarray(rng.standard_normal((inputs, outputs)).astype("f4") / math.sqrt(inputs))

    norms = {name: wf.ones((width,)) for name in ("scale1", "scale2")}
    norms |= {name: wf.zeros((width,)) for name in ("shift1", "shift2")}
    attention = {name: weights(width, width) for name in ("query", "key", "value", "output")}
    return norms | attention | {"up": weights(width, 4 * width), "down": weights(4 * width, width)}


def block(p: Any, x: Any) -> Any:
    """(length, width) -> (length, width), as in Vaswani et al. (2017), normalized first."""
    x = x + _attention(p, wf.nn.layer_norm(x, p["scale1"], p["shift1"]))
    hidden = wf.nn.layer_norm(x, p["scale2"], p["shift2"]) @ p["up"]
    return x + wf.nn.gelu(hidden) @ p["down"]


def _attention(p: Any, x: Any) -> Any:
    length, width = x.shape

    def heads(name: str) -> Any:
        split = (x @ p[name]).reshape(length, HEADS, width // HEADS)
        return wf.permute_dims(split, (1, 0, 2))

    scores = heads("query") @ wf.matrix_transpose(heads("key")) / math.sqrt(width // HEADS)
    mixed = wf.nn.softmax(scores) @ heads("value")
    return wf.permute_dims(mixed, (1, 0, 2)).reshape(length, width) @ p["output"]
