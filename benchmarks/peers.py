"""The libraries Weft is compared with, and how each is given a job that is written once.

Those not installed are left out, and it is said in one line.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np

import weft as wf
from benchmarks import names, onnx_graph
from benchmarks.measure import Unable
from benchmarks.numexpr_text import expression
from benchmarks.records import Work


@dataclass(frozen=True)
class Job:
    """What a case computes: `function` takes a library's names (benchmarks.names) and returns a
    function of `arrays`, which may be nests. `own` is what a peer is given in its place."""

    function: Callable[[Any], Callable[..., Any]]
    arrays: tuple[Any, ...]
    own: Mapping[str, Callable[[Any], Callable[..., Any]]] = field(default_factory=dict)
    weights: int = 0
    """How many of the last arguments are weights: libraries that make a model hold them in it."""

    def written_for(self, peer: str) -> Callable[[Any], Callable[..., Any]]:
        """The function that a peer is given."""
        return self.own.get(peer, self.function)


@dataclass(frozen=True)
class Peer:
    """A library, or one of its ways. `prepare` compiles a job; what it returns runs it and waits
    for the result."""

    name: str
    module: str
    prepare: Callable[[Job], Work]

    @property
    def needs(self) -> tuple[str, ...]:
        """The modules that have to be installed."""
        return (
            (self.module, "onnx") if self.module in ("onnxruntime", "openvino") else (self.module,)
        )

    @property
    def installed(self) -> bool:
        """Whether they are."""
        return all(importlib.util.find_spec(name) is not None for name in self.needs)


def set_threads(threads: int) -> None:
    """Ask every library for this many threads; call before importing any of them."""
    for name in ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["WEFT_THREADS"] = str(threads)
    multi = "true" if threads > 1 else "false"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={multi} intra_op_parallelism_threads={threads}"
    )
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[-threads:]))


def threads() -> int:
    """How many every library was asked for."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def load(name: str) -> ModuleType:
    """A library, with the threads that were asked for. Unable: it is not installed."""
    if importlib.util.find_spec(name) is None:
        raise Unable("is not installed")
    module = importlib.import_module(name)
    if name == "torch":
        module.set_num_threads(threads())
    return module


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    modules = dict.fromkeys(m for p in PEERS for m in ("llvmlite", *p.needs))
    there = (name for name in modules if importlib.util.find_spec(name) is not None)
    return {name: version(name) for name in there}


def named(wanted: Iterable[str]) -> tuple[Peer, ...]:
    """The peers of these names, or of modules of these names. ValueError: there is none."""
    found: list[Peer] = []
    for text in wanted:
        some = [p for p in PEERS if text in (p.name, p.module)]
        if not some:
            raise ValueError(f"no peer {text}; there are: {', '.join(p.name for p in PEERS)}")
        found += some
    return tuple(dict.fromkeys(found))


def _weft(job: Job) -> Work:
    compiled = wf.jit(job.written_for("weft")(names.weft()))
    given = wf.tree.map(wf.asarray, job.arrays)
    return lambda: compiled(*given)


def _numpy(job: Job) -> Work:
    function = job.written_for("numpy")(names.NUMPY)
    return lambda: function(*job.arrays)


def _scipy(job: Job) -> Work:
    if "scipy" not in job.own:
        raise Unable("has nothing of its own for it")
    import scipy.fft
    import scipy.linalg

    function = job.own["scipy"](scipy)
    return lambda: function(*job.arrays)


def _jax(job: Job) -> Work:
    jax = load("jax")
    if any(a.dtype in (np.float64, np.complex128) for a in wf.tree.leaves(job.arrays)):
        raise Unable("has no float64 unless it is told")
    compiled = jax.jit(job.written_for("jax.jit")(names.jax(jax)))
    given = jax.tree_util.tree_map(jax.numpy.asarray, job.arrays)
    return lambda: jax.block_until_ready(compiled(*given))


def _torch(job: Job) -> Work:
    torch = load("torch")
    function = job.written_for("torch eager")(names.torch(torch))
    given = wf.tree.map(torch.from_numpy, job.arrays)
    return lambda: function(*given)


def _torch_compiled(job: Job) -> Work:
    torch = load("torch")
    torch.compiler.reset()  # else it gives up after eight functions of one code
    written = job.own.get("torch.compile", job.written_for("torch eager"))
    compiled = torch.compile(written(names.torch(torch)))
    given = wf.tree.map(torch.from_numpy, job.arrays)
    return lambda: compiled(*given)


def _numba(job: Job) -> Work:
    numba = load("numba")
    compiled = numba.njit(job.written_for("numba")(np), parallel=threads() > 1)
    return lambda: compiled(*job.arrays)


def _numexpr(job: Job) -> Work:
    numexpr = load("numexpr")
    text, given = expression(job.written_for("numexpr"), job.arrays)
    return lambda: numexpr.evaluate(text, local_dict=given)


def _onnxruntime(job: Job) -> Work:
    runtime = load("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads(), 3
    model, given = onnx_graph.model(job.written_for("onnxruntime"), job.arrays, job.weights)
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, given)


def _openvino(job: Job) -> Work:
    core = load("openvino").Core()
    model, given = onnx_graph.model(job.written_for("openvino"), job.arrays, job.weights)
    options = {"INFERENCE_NUM_THREADS": threads(), "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(model), "CPU", options).create_infer_request()
    return lambda: list(request.infer(given, share_inputs=True, share_outputs=True).values())


WEFT = Peer("weft", "weft", _weft)
PEERS = (
    Peer("numpy", "numpy", _numpy),
    Peer("scipy", "scipy", _scipy),
    Peer("torch eager", "torch", _torch),
    Peer("torch.compile", "torch", _torch_compiled),
    Peer("jax.jit", "jax", _jax),
    Peer("numba", "numba", _numba),
    Peer("numexpr", "numexpr", _numexpr),
    Peer("onnxruntime", "onnxruntime", _onnxruntime),
    Peer("openvino", "openvino", _openvino),
)
