"""Outside of jit a function is compiled once for all sizes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.frontend.nn.checks import Function

import weft as wf
from weft import engine

nn = wf.nn
R = np.random.default_rng(51).random

CASES: dict[str, Function] = {
    "activations": lambda n, c: nn.glu(nn.mish(nn.elu(nn.leaky_relu(R((n, 6)), R(6))))),
    "rms_norm": lambda n, c: nn.rms_norm(R((n, c)), R(c)),
    "l2_normalize": lambda n, c: nn.l2_normalize(R((n, c))),
    "cosine_similarity": lambda n, c: nn.cosine_similarity(R((n, c)), R(c)),
    "batch_norm": lambda n, c: nn.batch_norm(R((n, c, 3)), R(c), R(c), R(c), R(c)),
    "batch_norm_training": lambda n, c: nn.batch_norm_training(R((n, c, n)), R(c), R(c)),
    "instance_norm": lambda n, c: nn.instance_norm(R((n, c, n)), R(c), R(c)),
    "group_norm": lambda n, c: nn.group_norm(R((n, 6, c)), 2, R(6), R(6)),
    "cross_entropy": lambda n, c: nn.cross_entropy(
        R((n, c)), np.arange(n) % c, weights=R(c), label_smoothing=0.1, reduction="mean"),
    "soft labels": lambda n, c: nn.cross_entropy(R((n, c)), R((n, c))),
    "binary": lambda n, c: nn.binary_cross_entropy_with_logits(
        R((n, c)), R((n, c)), positive_weight=R(c)),
    "kl_divergence": lambda n, c: nn.kl_divergence(R((n, c)), R((n, c))),
    "huber_loss": lambda n, c: nn.huber_loss(R((n, c)), R((n, c)), reduction="mean"),
    "embedding": lambda n, c: nn.embedding(R((n, c)), np.arange(c) % n),
    "dropout": lambda n, c: nn.dropout(R((n, c)), 0.5, mask=R((n, c)) > 0.5),
    "resize, of what stays": lambda n, c: nn.resize(R((n, c, 4, 6)), (n, c, 8, 5), "linear"),
    "nearest, of what stays": lambda n, c: nn.resize(R((n, 4, c)), (n, 8, c), "nearest"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_new_sizes_need_no_compile(name: str) -> None:
    for n, c in ((3, 4), (5, 7), (7, 3)):
        CASES[name](n, c)
    before = len(engine._slots)
    for n, c in ((6, 11), (12, 5), (40, 30), (9, 9)):
        CASES[name](n, c)
    assert len(engine._slots) == before
