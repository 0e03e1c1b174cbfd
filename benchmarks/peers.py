"""The libraries Weft is compared with; those not installed are left out, and it is said."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

MODULES = {"scipy": "scipy", "jax": "jax", "torch": "torch", "numba": "numba", "numexpr": "numexpr"}


def set_threads(threads: int) -> None:
    """Ask every library for this many threads; call before importing any of them."""
    names = ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "NUMBA")
    for name in names:
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


def load(name: str) -> Any | None:
    """The peer's module, or None where it is not installed."""
    module = MODULES[name]
    if importlib.util.find_spec(module) is None:
        return None
    loaded = importlib.import_module(module)
    if name == "torch":
        loaded.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return loaded


def versions() -> str:
    """One line: every library found with its version, and those missing."""
    found, missing = ["numpy " + importlib.import_module("numpy").__version__], []
    for name in MODULES:
        module = load(name)
        if module is None:
            missing.append(name)
        else:
            found.append(f"{name} {module.__version__}")
    return ", ".join(found) + (f"; not installed: {', '.join(missing)}" if missing else "")
