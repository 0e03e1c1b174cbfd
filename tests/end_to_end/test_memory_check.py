"""WEFT_CHECK_MEMORY=1 from the user's side: the same results, and compiler faults by their line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import weft as wf
from weftc import cluster
from weftrt import knobs
from weftrt.cpu.host import host
from weftrt.cpu.memory_check import checker
from weftrt.errors import MemoryCheckError

DRAW = np.random.default_rng(3)
X, Y = DRAW.random((37, 53), "f4"), DRAW.random((53, 19), "f4")
INDICES = np.array([3, 36, 0, -1])


def loss(x: Any, y: Any) -> Any:
    return wf.sum(wf.nn.softmax(wf.tanh(x @ y)) ** 2)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "pointwise": lambda x, y: wf.exp(x) * 2 - x[:, ::-1],
    "rowwise": lambda x, y: wf.nn.softmax(x) + wf.mean(x, axis=1, keepdims=True),
    "reduction": lambda x, y: (wf.sum(x, axis=0), wf.max(x), wf.argmax(y, axis=0)),
    "contraction": lambda x, y: wf.maximum(x @ y, 0.5),
    "gather": lambda x, y: wf.take(x, INDICES, axis=0),
    "gradient": lambda x, y: wf.grad(loss)(x, y),
    "scatter": lambda x, y: wf.grad(lambda x: wf.sum(wf.take(x, INDICES, axis=0) ** 2))(x),
    "pieces": lambda x, y: wf.concat([x, x[:3], wf.flip(x)], axis=0),
    "empty": lambda x, y: (x[:0] * 2, wf.sum(x[:, :0], axis=1)),
    "bools": lambda x, y: (x > 0.5, wf.astype(x * 200, "uint8")),
}


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Counts the watched runs of kernels."""
    counts = [0]
    launch = checker._Watched._launch

    def counted(*arguments: Any) -> int:
        counts[0] += 1
        return launch(*arguments)

    monkeypatch.setattr(checker._Watched, "_launch", counted)
    yield counts


def leaves(found: Any) -> list[bytes]:
    return [
        np.asarray(item).tobytes() for item in (found if isinstance(found, tuple) else (found,))
    ]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_watched_programs_give_the_same_bits(name: str, threads: int, launches: list[int]) -> None:
    function = FUNCTIONS[name]
    expected = leaves(wf.jit(lambda x, y: function(x, y))(X, Y))
    assert launches == [0]
    with knobs.scope(check_memory=1, threads=threads):
        found = leaves(wf.jit(lambda x, y: function(x, y))(X, Y))
    assert found == expected
    assert launches[0] > 0


def test_large_outputs_are_streamed(launches: list[int]) -> None:
    """Such stores need aligned memory, which a copy has too."""
    x = np.arange(1 << 21, dtype="f4")
    with knobs.scope(check_memory=1):
        found = wf.jit(lambda x: x * 2 + 1)(x)
    assert launches == [2]
    np.testing.assert_array_equal(np.asarray(found), x * 2 + 1)


def test_a_store_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    emit = cluster.llvm.emit

    def without_stores(*arguments: Any) -> str:
        return re.sub(r"(?m)^ *store .*$", "", emit(*arguments))

    monkeypatch.setattr(cluster.llvm, "emit", without_stores)
    with knobs.scope(check_memory=1):
        function = wf.jit(lambda x: wf.sqrt(x) * 3.25)
        with pytest.raises(MemoryCheckError) as caught:
            function(X)
    assert "test_memory_check.py" in str(caught.value)
    assert re.search(
        r"does not write element 0 of its output \w+ \(mul, f32\[37,53\]\)", str(caught.value)
    )


def test_a_stride_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other element of each vector goes astray; the run that starts at a guard tells."""
    emit = cluster.llvm.emit

    def shifted(*arguments: Any) -> str:
        text = emit(*arguments)
        return re.sub(
            r"(?m)^( *store <\d+ x float> \S+, ptr )(%\S+),", r"\1%off,", _with_offset(text)
        )

    def _with_offset(text: str) -> str:
        place = re.search(r"(?m)^ *store <\d+ x float> \S+, ptr (%\S+),", text)
        assert place is not None
        line = f"  %off = getelementptr float, ptr {place[1]}, i64 -1\n"
        return text[: place.start()] + line + text[place.start() :]

    monkeypatch.setattr(cluster.llvm, "emit", shifted)
    with knobs.scope(check_memory=1):
        function = wf.jit(lambda x: wf.sqrt(x) * 5.25)
        with pytest.raises(MemoryCheckError, match="writes before the start of its output"):
            function(np.ones(64, "f4"))


LAST_ROWS = """
import numpy as np, weft as wf
def last(x):
    row = x[[2]] * 1
    return row + 1, row.reshape(-1)
for dtype in ("f4", "f8", "i4", "u8"):
    for length in range(2, 40):
        x = wf.asarray(np.arange(3 * length).reshape(3, length).astype(dtype))
        assert np.array_equal(wf.jit(last)(x)[1], np.asarray(x)[2]), (dtype, length)
"""


SHIFTED_ROWS = """
import numpy as np, weft as wf
x = np.ones((17, 16), "f4")
found = np.asarray(wf.jit(wf.grad(lambda x: wf.sum(wf.logcumsumexp(x, axis=1))))(x))
expected = np.cumsum(1 / np.arange(16, 0, -1))[::-1]
np.testing.assert_allclose(found, np.tile(expected, (17, 1)), rtol=1e-5)
"""


FLIPPED_PIECES = """
import numpy as np, weft as wf
def turned(x):
    y = wf.flip(x)
    return wf.concat([y[:, 1:], y[:, :1]], axis=1) * wf.concat([y[:, 2:], y[:, :2]], axis=1)
for dtype in ("f4", "f8", "u1"):
    for shape in ((5, 3, 2, 8), (2, 3, 64)):
        x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        y = np.flip(x)
        expected = np.roll(y, -1, axis=1) * np.roll(y, -2, axis=1)
        assert np.array_equal(wf.jit(turned)(x), expected), (dtype, shape)
"""


@pytest.mark.parametrize(
    ("program", "target"),
    [(LAST_ROWS, "x86-64-v3"), (SHIFTED_ROWS, "x86-64-v3"), (FLIPPED_PIECES, "native")],
)
def test_a_masked_load_reads_no_lane_that_is_off(program: str, target: str) -> None:
    """LLVM loads the last vector of a row without its mask, for AVX2, if it takes the row apart;
    and ends the process over one that lies in memory up to the last lane. With AVX-512 it folds a
    load into a permutation under the same mask, which reads all lanes."""
    if target != "native" and host().vector_bits < 256:
        pytest.skip("a machine without AVX2")
    knobs_of = {"WEFT_TARGET": target, "WEFT_CHECK_MEMORY": "1", "WEFT_CACHE": "off"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=os.environ | knobs_of, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
