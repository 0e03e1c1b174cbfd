"""Cases of jobs that are written once for all libraries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import weft as wf
from benchmarks import names
from benchmarks.peers import PEERS, WEFT, Job
from benchmarks.records import Case

Written = Callable[[Any], Callable[..., Any]]
"""A job: of a library's names, its function."""

WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.complex64): np.complex128}


def case(
    name: str,
    function: Written,
    *arrays: Any,
    own: dict[str, Written] | None = None,
    weights: int = 0,
    among: tuple[str, ...] | None = None,
    expected: Callable[[], Any] | None = None,
    variants: dict[str, Written] | None = None,
    beside: dict[str, Written] | None = None,
    **how: Any,
) -> Case:
    """A job (see Job) for all peers, or those of `among`. `expected` is the job done by NumPy in
    float64, unless it is given. `variants`: other ways to write it in Weft, by contestant;
    `beside`: other jobs that are shown beside it. `how` is the rest of a Case."""
    job = Job(function, arrays, own or {}, weights)
    peers = [p for p in PEERS if among is None or p.name in among]
    makers = {p.name: partial(p.prepare, job) for p in (WEFT, *peers) if _has(p.name, job)}
    for variant, written in ((variants or {}) | (beside or {})).items():
        makers[variant] = partial(WEFT.prepare, Job(written, arrays))
    return Case(
        name,
        makers,
        expected or partial(exact, function, arrays),
        unchecked=frozenset(beside or ()),
        dtype=_dtype(arrays),
        **how,
    )


def exact(function: Written, arrays: Any, library: Any = names.NUMPY) -> Any:
    """The result of a job in float64, by a library's names."""
    return function(library)(*wf.tree.map(widened, arrays))


def _has(peer: str, job: Job) -> bool:
    return peer != "scipy" or peer in job.own


def _dtype(arrays: Any) -> str:
    double = any(a.dtype in (np.float64, np.complex128) for a in wf.tree.leaves(arrays))
    return "float64" if double else "float32"


def widened(array: Any) -> Any:
    """An array in float64, if it is one of floats."""
    return array.astype(WIDE.get(array.dtype, array.dtype))


def shape_text(*shape: int) -> str:
    """4096x1024"""
    return "x".join(map(str, shape))
