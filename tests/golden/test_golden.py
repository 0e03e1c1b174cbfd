"""Every stage of a few functions, as text, for a fixed target. `pytest --bless` rewrites them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf
from weftc import pipeline
from weftc.ir.print import print_graph
from weftc.loop.print import print_function
from weftrt.options import Options
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", ("avx", "avx2", "fma", "sse4.2"), 256)


def softmax(x: Any) -> Any:
    return wf.nn.softmax(x)


def linear_gelu(x: Any, w: Any, b: Any) -> Any:
    return wf.nn.gelu(x @ w + b, approximate=True)


def adam(p: Any, g: Any, m: Any, v: Any) -> Any:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    return p - 1e-3 * m / (wf.sqrt(v) + 1e-8), m, v


def _ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "softmax": (softmax, (_ones(64, 100),)),
    "linear_gelu": (linear_gelu, (_ones(6, 20), _ones(20, 32), _ones(32))),
    "adam": (adam, tuple(_ones(33) for _ in range(4))),
}


def _stages(name: str) -> pipeline.Stages:
    function, arguments = CASES[name]
    return pipeline.stages(wf.jit(function).lower(*arguments).graph, Options(TARGET))


def _without_places(text: str) -> str:
    """Locations name folders of this machine: cut them."""
    return re.sub(r"[ \t]*[#;] .*\.py:\d+.*$", "", text, flags=re.M)


@pytest.mark.parametrize("name", CASES)
def test_graphs(name: str, golden: Callable[[str, str], None]) -> None:
    stages = _stages(name)
    golden(f"{name}.graph.txt", _without_places(print_graph(stages.graph)) + "\n")
    golden(f"{name}.optimized.txt", _without_places(print_graph(stages.optimized)) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_loops(name: str, golden: Callable[[str, str], None]) -> None:
    stages = _stages(name)
    written = "\n\n".join(map(print_function, stages.loops))
    widened = "\n\n".join(map(print_function, stages.widened))
    golden(f"{name}.loops.txt", written + "\n")
    golden(f"{name}.widened.txt", widened + "\n")


@pytest.mark.parametrize("name", ["adam"])
def test_llvm(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.ll", "\n".join(_stages(name).llvm))


@pytest.mark.parametrize("name", CASES)
def test_each_is_one_kernel(name: str) -> None:
    assert len(_stages(name).kernels) == 1
