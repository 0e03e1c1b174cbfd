"""Figures of processes of their own.

`python -m benchmarks.processes first LIBRARY NETWORK` prints the seconds of the first call of a
network's step, or of its gradient (tracing or capturing, compiling, one run); `chain LIBRARY` those
of the 20-op chain, after another compile; `peak LIBRARY NETWORK` the bytes that training steps hold
at most, parameters and moments included.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import weft as wf
from benchmarks import names, networks, peers, steps
from benchmarks.peers import PEERS, WEFT, Job
from benchmarks.suites.pointwise import chain


def figure(command: list[str], **variables: str) -> float:
    """The last number that a process prints, which finds its modules compiled, as a user's does.
    RuntimeError: it failed, and said so."""
    environment = dict(os.environ) | variables
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
    return float(done.stdout.split()[-1])


def ours(*arguments: str, **variables: str) -> float:
    """The figure that this module prints."""
    return figure([sys.executable, "-m", "benchmarks.processes", *arguments], **variables)


def code(text: str, **variables: str) -> float:
    """The figure that a piece of Python prints."""
    return figure([sys.executable, "-c", text], **variables)


def first(library: str, name: str) -> float:
    """Seconds of a first call, on all cores: compilers use more than one."""
    network = networks.COMPILED[name]()
    x, target = network.batch(np.random.default_rng(steps.SEED))
    given = tuple(steps.converted(library, a) for a in (x, target))
    call = _step(library, network) if name.endswith("step") else _gradient(library, network)
    return _seconds(partial(call, *given))


def _step(library: str, network: networks.Network) -> Callable[..., Any]:
    return steps.LIBRARIES[library](network)()


def _gradient(library: str, network: networks.Network) -> Callable[..., Any]:
    p = wf.tree.map(lambda a: steps.converted(library, a), steps.initial(network))
    if library == "weft":
        return partial(wf.jit(wf.value_and_grad(network.loss(names.weft()))), p)
    if library == "jax.jit":
        jax = peers.load("jax")
        function = jax.jit(jax.value_and_grad(network.loss(names.jax(jax))))
        return lambda *given: jax.block_until_ready(function(p, *given))
    torch = peers.load("torch")
    own = wf.tree.map(lambda a: a.requires_grad_(), p)
    loss = torch.compile(network.loss(names.torch(torch)))
    return lambda *given: loss(own, *given).backward()


def first_chain(library: str) -> float:
    """Seconds of the first call of the 20-op chain, where another function was compiled before."""
    peer = next(p for p in (WEFT, *PEERS) if p.name == library)
    x, w, b = (np.ones(shape, np.float32) for shape in ((16, 1024), (1024,), (1024,)))
    peer.prepare(Job(lambda xp: lambda x: x * 3 - 1, (x,)))()
    return _seconds(lambda: peer.prepare(Job(chain, (x, w, b)))())


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak(library: str, name: str) -> float:
    """Bytes of the process at its peak while it trains, over those before the first parameters,
    compiled code aside: what steps add, and what they keep."""
    network = networks.trained()[name]
    x, target = network.batch(np.random.default_rng(steps.SEED))
    given = tuple(steps.converted(library, a) for a in (x, target))
    step = steps.LIBRARIES[library](network)()
    for _ in range(3):
        step(*given)
    gc.collect()
    if library == "weft":
        from weftrt import array

        array.limit_pool(0)  # nothing is held that was used before
        array.limit_pool(1 << 30)
    kept = 3 * sum(a.nbytes for a in wf.tree.leaves(steps.initial(network)))
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for _ in range(3):
        step(*given)
    return _status("VmHWM") - before + kept


def _status(field: str) -> int:
    """Bytes, by the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


KINDS: dict[str, Callable[..., float]] = {"first": first, "chain": first_chain, "peak": peak}

if __name__ == "__main__":
    if sys.argv[1] != "peak" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    print(KINDS[sys.argv[1]](*sys.argv[2:]))
