"""Import, compile and cache times, each in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median

from benchmarks import peers

IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"
FIRST_CALL = """
import time
import numpy as np
import weft as wf
from benchmarks.elementwise import chain
x, w, b = (wf.asarray(np.ones(s, np.float32)) for s in ((16, 1024), (1024,), (1024,)))
if {warm}:
    wf.jit(lambda x: x * 3 - 1)(x)
f = wf.jit(lambda x, w, b: chain(wf, x, w, b))
t = time.perf_counter()
f(x, w, b)
print(time.perf_counter() - t)
"""
FIRST_ARRAY = """
import time
t = time.perf_counter()
import weft as wf
wf.ones((4,))
print(time.perf_counter() - t)
"""
FIRST_CALLS = {
    "mlp step": 0.120,
    "block step": 0.500,
    "12 layers": 1.200,
    "48 layers": 0.810,
    "48 layers by scan": 0.810,
}
"""Jobs of benchmarks.networks, and the seconds that Weft's first call may take: it compiles all
kernels, with nothing on the disk but the native runtime. 48 layers: 1.5 times what 12 took."""
LIMITS = {
    "import weft": 0.200,
    "20-op chain compiled": 0.030,
    "20-op chain from disk": 0.005,
    "first array, cache off": 0.400,
}


def run(processes: int = 7) -> bool:
    """Print each time and its limit; whether all hold."""
    with tempfile.TemporaryDirectory() as folder:
        times = {
            "import numpy": [_run(IMPORT.format("numpy")) for _ in range(processes)],
            "import weft": [_run(IMPORT.format("weft")) for _ in range(processes)],
            "first compile": [_cold(folder, f"first{k}", False) for k in range(processes)],
            "20-op chain compiled": [_cold(folder, f"{k}", True) for k in range(processes)],
            "20-op chain from disk": [
                _run(FIRST_CALL.format(warm=False), os.path.join(folder, "0"))
                for _ in range(processes)
            ],
            "first array, cached": [_run(FIRST_ARRAY, folder) for _ in range(processes + 1)][1:],
            "first array, cache off": [_off(folder) for _ in range(processes + 1)][1:],
            "the same, first process": [_off(folder, f"tmp{k}") for k in range(processes)],
        }
    print("\nstart-up (medians over processes; a chain's time is that of its first call)")
    holds = True
    for name, found in times.items():
        limit = LIMITS.get(name)
        mark = ""
        if limit is not None:
            holds &= median(found) <= limit
            verdict = "holds" if median(found) <= limit else "MISSED"
            mark = f"goal <= {limit * 1e3:.0f} ms: {verdict}"
        print(f"  {name:24} {median(found) * 1e3:8.2f} ms  {mark}".rstrip())
    return _first_calls() and holds


def _first_calls() -> bool:
    """Print the first calls of networks in every library, each in processes of its own that have
    all cores; whether Weft's limits hold."""
    print("\nfirst calls: tracing, compiling and one run (medians over processes)")
    holds = True
    for job, limit in FIRST_CALLS.items():
        for library, processes in (("weft", 5), ("jax.jit", 3), ("torch.compile", 1)):
            if library == "torch.compile" and job.startswith("48"):
                continue  # minutes, and it has no scan to compile
            if library == "weft" or peers.load(library.split(".")[0]) is not None:
                found = median([_network(library, job) for _ in range(processes)])
                goal = ""
                if library == "weft":
                    holds &= found <= limit
                    verdict = "holds" if found <= limit else "MISSED"
                    goal = f"goal <= {limit * 1e3:.0f} ms: {verdict}"
                print(f"  {job:18} {library:14} {found * 1e3:9.1f} ms  {goal}".rstrip())
    return holds


def _network(library: str, job: str) -> float:
    """The seconds of a first call, with caches that hold nothing but Weft's native runtime."""
    with tempfile.TemporaryDirectory() as folder:
        if library == "weft":
            _run("import weft as wf; wf.ones((1,))", folder)
        command = [sys.executable, "-m", "benchmarks.networks", library, job]
        return _seconds(command, {"WEFT_CACHE": folder, "TORCHINDUCTOR_CACHE_DIR": folder})


def _cold(folder: str, name: str, warm: bool) -> float:
    """The chain's first call, compiled: as the first compile of its process, where LLVM's own
    start adds to it, or (`warm`) after another. The runtime's own code is in the cache."""
    cache = os.path.join(folder, name)
    _run("import numpy as np, weft as wf; wf.asarray(np.ones(3)); print(0)", cache)
    return _run(FIRST_CALL.format(warm=warm), cache)


def _off(folder: str, temporary: str = "tmp") -> float:
    """The first array with no cache but what the runtime keeps in the temporary folder."""
    place = os.path.join(folder, temporary)
    os.makedirs(place, exist_ok=True)
    return _run(FIRST_ARRAY, "off", TMPDIR=place)


def _run(code: str, cache: str | None = None, **variables: str) -> float:
    given = {"WEFT_CACHE": cache} if cache else {}
    return _seconds([sys.executable, "-c", code], given | variables)


def _seconds(command: list[str], variables: dict[str, str]) -> float:
    """The last number that a process prints, which finds its modules compiled, as a user's does."""
    environment = dict(os.environ) | variables
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = done.stdout.split()
    return float(lines[-1]) if lines else 0.0
