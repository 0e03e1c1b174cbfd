"""The command line: weft doctor | dump | explain | cache | demo."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import inspect
import os
import platform
import re
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from weft import __version__, diagnostics
from weft.inspect import examples
from weft.inspect.examples import Arguments
from weftrt import knobs
from weftrt.errors import UsageError, WeftError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. A wrong argument is one line on stderr, exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], None] = options.run
        run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except WeftError as error:
        problem = re.sub(r"\s*\n\s*", ": ", str(error))
        print(f"weft {options.command}: {problem}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="weft", description="A graph-to-kernel JIT compiler for tensors.")
    parser.add_argument("--version", action="version", version=f"weft {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    doctor = commands.add_parser("doctor", help="what Weft sees of this machine")
    doctor.set_defaults(run=run_doctor)

    dump = commands.add_parser("dump", help="print a stage of a function's compilation")
    _add_function(dump)
    dump.add_argument(
        "--stage",
        default="graph",
        help="graph (the default), optimized, kernels, loops, widened, llvm, asm or cuda",
    )
    dump.add_argument("--out", type=Path, help="a folder: write every stage there, a file each")
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
        "--args",
        default="",
        metavar="TYPES",
        help="""the arguments, types in place of arrays: 'f32[64,784], {"w": f32[3]}, rate=2'; a
        name in place of a size, as in f32[n,784], stands for any""",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def run_doctor(options: argparse.Namespace) -> None:
    """CPU features, LLVM, cache folder, devices, knobs."""
    import llvmlite
    import llvmlite.binding

    from weftrt.cache import default_store
    from weftrt.cpu.host import host as detect

    host = detect()
    version = ".".join(map(str, llvmlite.binding.llvm_version_info))
    rows = {
        "python": f"{platform.python_version()} ({platform.machine()}, {platform.system()})",
        "numpy": np.__version__,
        "llvm": f"{version} (llvmlite {llvmlite.__version__})",
        "target": f"{host.triple}, {host.vector_bits}-bit vectors",
        "features": " ".join(sorted(host.features)),
        "CPU caches": f"L1 {host.l1_bytes >> 10} KiB, L2 {host.l2_bytes >> 10} KiB",
        "threads": str(knobs.threads()),
        "cache": default_store().describe() + _cache_state(default_store()),
        "devices": "cpu" + _cuda_state(),
    }
    for name, value in rows.items():
        indent = " " * 11
        print(textwrap.fill(f"{name:10} {value}", 80, subsequent_indent=indent))
    print("\nknobs (environment variables):")
    print(knobs.describe())


def _cache_state(store: Any) -> str:
    if store.root is None:
        return " (nothing is kept between processes)"
    problem = store.problem()
    return f" (cannot be written: {problem})" if problem else ", writable"


def _cuda_state() -> str:
    if importlib.util.find_spec("pycuda") is None:
        return "; cuda: CUDA C can be printed, not run (pycuda is not installed)"
    return "; cuda: CUDA C can be printed; running it is not supported yet"


def run_dump(options: argparse.Namespace) -> None:
    """Print one stage of a function, or write them all."""
    function, given = _function(options)
    if options.out is None:
        run = functools.partial(function.ir, *given.positional, stage=options.stage)
        _print(_of_user(lambda: run(**given.keywords)))
        return
    stages = _of_user(lambda: function.lower(*given.positional, **given.keywords))
    for file in _of_user(lambda: stages.write(options.out)):
        print(file)


def run_explain(options: argparse.Namespace) -> None:
    """Print the kernels of a function and why they are not fewer."""
    function, given = _function(options)
    _print(_of_user(lambda: function.explain(*given.positional, **given.keywords)))


def _print(text: str) -> None:
    print(text, end="" if text.endswith("\n") else "\n")


def _function(options: argparse.Namespace) -> tuple[Any, Arguments]:
    """The function that the command names, and the arguments to compile it for."""
    function = load_function(options.function)
    arguments = examples.arguments(options.args)
    _check_fit(function, arguments)
    return function, arguments


def _check_fit(function: Any, arguments: Arguments) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments.positional, **arguments.keywords)
    except TypeError as error:
        given = f"--args names {len(arguments)}" if len(arguments) else "give --args"
        name = getattr(function, "__name__", "the function")
        raise UsageError(f"{name}{signature}: {error}; {given}") from None


def _of_user(run: Callable[[], Any]) -> Any:
    """What `run` returns; an error of the user's code becomes one line."""
    try:
        return run()
    except WeftError:
        raise
    except SyntaxError as error:
        problem = f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
        raise UsageError(problem) from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if not _is_machinery(f.filename)]
        place = f"{theirs[-1].filename}:{theirs[-1].lineno}: " if theirs else ""
        raise UsageError(f"{place}{type(error).__name__}: {error}") from None


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen") or diagnostics.is_ours(filename)


def run_cache(options: argparse.Namespace) -> None:
    """Show or clear the cache."""
    from weftrt.cache import default_store

    store = default_store()
    if options.action == "clear":
        print(f"removed {store.clear()} entries")
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
    module = _of_user(lambda: _load_module(path))
    if not hasattr(module, name):
        own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UsageError(f"{path} has no function {name}; it has: {', '.join(own) or 'none'}")
    function = getattr(module, name)
    if not callable(function):
        found = diagnostics.kind_of(function)
        raise UsageError(f"{name} in {path} is {found}, not a function")
    return function if hasattr(function, "lower") else wf.jit(function)


def _load_module(path: str) -> Any:
    """The file as a module, under a name that hides no installed one."""
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"_weft_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    sys.path.insert(0, str(file.parent.resolve()))
    spec.loader.exec_module(module)
    return module
