"""First calls: tracing or capturing, compiling, and one run, in processes of their own that have
all cores and caches that hold nothing but Weft's native runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import networks, processes
from benchmarks.records import Case, Size, Work

LIBRARIES = ("weft", "torch.compile", "jax.jit")
CHAIN = (*LIBRARIES, "numba")
LONG = "48"
"""What torch.compile takes minutes for."""


def cases(size: Size) -> Iterator[Case]:
    """The 20-op chain, then networks. `size` changes nothing: networks are as large as they are."""
    yield _case("20-op chain", CHAIN, lambda library: ("chain", library), quick=True)
    for name in networks.COMPILED:
        libraries = [x for x in LIBRARIES if x != "torch.compile" or not name.startswith(LONG)]
        arguments = partial(_arguments, name)
        yield _case(name, libraries, arguments, quick=name == "MLP step")


def _arguments(name: str, library: str) -> tuple[str, ...]:
    return "first", library, name


def _case(
    name: str,
    libraries: list[str] | tuple[str, ...],
    arguments: Callable[[str], tuple[str, ...]],
    quick: bool,
) -> Case:
    makers = {library: partial(_cold, library, arguments(library)) for library in libraries}
    makers["weft from disk"] = partial(_from_disk, arguments("weft"))
    return Case(f"first call: {name}", makers, figure=True, quick=quick)


def _cold(library: str, arguments: tuple[str, ...]) -> Work:
    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            if library == "weft":
                _runtime(folder)
            return processes.ours(*arguments, **_caches(folder))

    return run


def _from_disk(arguments: tuple[str, ...]) -> Work:
    folder = tempfile.TemporaryDirectory()
    processes.ours(*arguments, **_caches(folder.name))
    return lambda: processes.ours(*arguments, **_caches(folder.name))


def _caches(folder: str) -> dict[str, str]:
    return {"WEFT_CACHE": folder, "TORCHINDUCTOR_CACHE_DIR": folder}


def _runtime(folder: str) -> None:
    """Put the native runtime in a cache."""
    processes.code("import weft as wf; wf.ones((1,)); print(0)", **_caches(folder))
