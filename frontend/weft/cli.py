"""The command line: weft doctor | dump | explain | cache | demo."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weftrt import dtypes, knobs
from weftrt.errors import UsageError, WeftError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. Weft's own errors are printed in one line, exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], None] = options.run
        run(options)
    except WeftError as error:
        print(f"weft {options.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weft", description="A graph-to-kernel JIT compiler for tensors."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    doctor = commands.add_parser("doctor", help="what Weft sees of this machine")
    doctor.set_defaults(run=run_doctor)

    dump = commands.add_parser("dump", help="print a stage of a function's compilation")
    _add_function(dump)
    dump.add_argument("--stage", default="graph", help="graph, optimized, kernels, loops, ...")
    dump.set_defaults(run=run_dump)

    explain = commands.add_parser("explain", help="which kernels a function becomes, and why")
    _add_function(explain)
    explain.set_defaults(run=run_explain)

    cache = commands.add_parser("cache", help="show or clear the compiled-code cache")
    cache.add_argument("action", choices=("show", "clear"), nargs="?", default="show")
    cache.set_defaults(run=run_cache)

    demo = commands.add_parser("demo", help="train a digit classifier on real images")
    demo.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    demo.add_argument("--epochs", type=_positive, default=15)
    demo.add_argument("--dump", type=Path, default=Path("weft-ir"), help="folder for the IR")
    demo.set_defaults(run=run_demo)
    return parser


def _add_function(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", metavar="FILE.py:FUNC")
    parser.add_argument(
        "--args", default="", metavar="TYPES", help='argument types, as in "f32[64,784],f32[]"'
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def run_doctor(options: argparse.Namespace) -> None:
    """CPU features, LLVM, cache folder, devices, knobs."""
    import llvmlite
    import llvmlite.binding

    from weftrt import target
    from weftrt.cache import default_store

    host = target.host()
    version = ".".join(map(str, llvmlite.binding.llvm_version_info))
    rows = {
        "python": f"{platform.python_version()} ({platform.machine()}, {platform.system()})",
        "numpy": np.__version__,
        "llvm": f"{version} (llvmlite {llvmlite.__version__})",
        "target": f"{host.triple}, {host.vector_bits}-bit vectors",
        "features": " ".join(host.features),
        "caches": f"L1 {host.l1_bytes >> 10} KiB, L2 {host.l2_bytes >> 10} KiB",
        "threads": str(knobs.threads()),
        "cache": default_store().describe(),
        "devices": "cpu" + _cuda_state(),
    }
    for name, value in rows.items():
        print(f"{name:9} {value}")
    print("\nknobs (environment variables):")
    print(knobs.describe())


def _cuda_state() -> str:
    if importlib.util.find_spec("pycuda") is None:
        return "; cuda: CUDA C can be printed, not run (pycuda is not installed)"
    return "; cuda: CUDA C can be printed; running it is not supported yet"


def run_dump(options: argparse.Namespace) -> None:
    """Print one stage of a function."""
    function = load_function(options.function)
    print(function.ir(*example_arguments(options.args), stage=options.stage))


def run_explain(options: argparse.Namespace) -> None:
    """Print the kernels of a function and why they are not fewer."""
    function = load_function(options.function)
    print(function.explain(*example_arguments(options.args)))


def run_cache(options: argparse.Namespace) -> None:
    """Show or clear the cache."""
    from weftrt.cache import default_store

    store = default_store()
    if options.action == "clear":
        store.clear()
    print(store.describe())


def run_demo(options: argparse.Namespace) -> None:
    """Train the demo network."""
    from weft import demo

    demo.main(options.data, options.epochs, options.dump)


def load_function(place: str) -> Any:
    """The function FUNC of FILE.py, jitted if it is not yet."""
    import weft as wf

    path, separator, name = place.rpartition(":")
    if not separator or not path or not name:
        raise UsageError(f"expected FILE.py:FUNC, got {place!r}")
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        found = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UsageError(f"{path} has no function {name}; it has: {', '.join(found) or 'none'}")
    function = getattr(module, name)
    if not callable(function):
        raise UsageError(f"{name} in {path} is a {type(function).__name__}, not a function")
    return function if hasattr(function, "lower") else wf.jit(function)


_TYPE = re.compile(r"\s*(\w+)\s*\[([^\]]*)\]\s*(?:,|$)")


def example_arguments(text: str) -> list[np.ndarray[Any, Any]]:
    """Arrays of ones of the given types: "f32[64,784],i64[]"."""
    arrays = []
    position = 0
    while position < len(text.rstrip()):
        match = _TYPE.match(text, position)
        if match is None:
            raise UsageError(
                f'cannot read the type at "{text[position:]}"; expected one like f32[64,784]'
            )
        arrays.append(_example(match[1], match[2]))
        position = match.end()
    return arrays


def _example(short: str, shape: str) -> np.ndarray[Any, Any]:
    dtype = dtypes.BY_SHORT.get(short) or dtypes.BY_NAME.get(short)
    if dtype is None:
        raise UsageError(f"there is no dtype {short}; there are: {', '.join(dtypes.BY_SHORT)}")
    sizes = [s.strip() for s in shape.split(",") if s.strip()]
    if not all(s.isdecimal() for s in sizes):
        raise UsageError(f"sizes are whole numbers, got [{shape}]")
    return np.ones(tuple(map(int, sizes)), dtype.dtype)
