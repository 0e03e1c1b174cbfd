"""Every environment variable Weft reads, in this one file. `knobs.threads()` is its value now."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from weftrt.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Knob(Generic[T]):
    """One variable. `parse` raises ValueError for a text that is not `expected`."""

    name: str
    variable: str
    expected: str
    help: str
    parse: Callable[[str], T]
    default: Callable[[], T]

    def __call__(self) -> T:
        """The value in force: of an open `scope`, else of the environment, else the default."""
        if self.name in _scoped:
            return _scoped[self.name]  # type: ignore[no-any-return]
        text = os.environ.get(self.variable, "")
        if not text:
            return self.default()
        try:
            return self.parse(text)
        except ValueError:
            message = f"{self.variable} is {self.expected}, not {text!r}"
            raise UsageError(message) from None


_scoped: dict[str, Any] = {}
"""Values of open scopes, by knob name; process-wide, as the environment is."""


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError
        return text.lower()

    return parse


def _topics(text: str) -> frozenset[str]:
    names = frozenset(part.strip() for part in text.split(","))
    if not names <= LOG_TOPICS:
        raise ValueError
    return names


def _working_folder() -> Path:
    with suppress(OSError):  # it may have been removed
        return Path.cwd()
    return Path()


_START = _working_folder()
"""What relative paths are relative to: a process may change its folder later."""


def _folder(text: str) -> Path | None:
    if text.lower() in ("off", "0"):  # as of the knobs that are 0 or 1; a folder is ./0
        return None
    try:
        return _START / Path(text).expanduser()
    except RuntimeError:  # there is no such home
        raise ValueError from None


def _user_cache() -> Path | None:
    """weft in the user's cache folder, or in the temporary one where that cannot be made."""
    from platformdirs import user_cache_dir

    with suppress(RuntimeError):  # no home
        folder = Path(user_cache_dir("weft", appauthor=False))
        if os.path.isdir(folder) or _can_be_made(folder):
            return folder
    return temporary_cache()


def temporary_cache() -> Path | None:
    """This user's own folder in the temporary one, None where there is none."""
    with suppress(OSError):
        user = os.geteuid() if hasattr(os, "geteuid") else 0
        return Path(tempfile.gettempdir(), f"weft-{user}")
    return None


def _can_be_made(folder: Path) -> bool:
    there = next((path for path in folder.parents if os.path.exists(path)), folder)
    return folder.is_absolute() and os.access(there, os.W_OK | os.X_OK)


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


LOG_TOPICS = frozenset(("calls", "compile", "cache", "fusion", "guards"))

threads = Knob(
    "threads",
    "WEFT_THREADS",
    "an integer from 1 to 1024",
    "threads a kernel may use; default: the CPUs this process may run on",
    _integer(1, 1024),
    _available_cpus,
)
cache = Knob(
    "cache",
    "WEFT_CACHE",
    "a folder, or off",
    "where compiled programs are kept; off or 0: nowhere (only the native runtime is, in the "
    "temporary folder); default: weft in the user's cache folder, or weft-UID in the temporary one",
    _folder,
    _user_cache,
)
cache_megabytes = Knob(
    "cache_megabytes",
    "WEFT_CACHE_MB",
    "an integer from 1 to 1000000",
    "size limit of the cache folder in MB; default 1024",
    _integer(1, 1_000_000),
    lambda: 1024,
)
dump = Knob(
    "dump",
    "WEFT_DUMP",
    "a folder",
    "write every stage of every compiled function there; off or 0: do not; default: off",
    _folder,
    lambda: None,
)
verify = Knob(
    "verify",
    "WEFT_VERIFY",
    "0, 1 or 2",
    "1: verify the IR after every stage; 2: also compare what it computes; default 0",
    _integer(0, 2),
    lambda: 0,
)
check_memory = Knob(
    "check_memory",
    "WEFT_CHECK_MEMORY",
    "0 or 1",
    "1: run each kernel twice between guard pages, on memory filled with two patterns, and report "
    "what it reads or writes outside its buffers and what it leaves unwritten; slow; default 0",
    _integer(0, 1),
    lambda: 0,
)
log = Knob(
    "log",
    "WEFT_LOG",
    "a comma-separated list of " + ", ".join(sorted(LOG_TOPICS)),
    "what to report on standard error, one or more of cache (programs kept and loaded), calls "
    "(those that do not run natively), compile (what is compiled, and why), fusion (kernels), "
    "guards (what a trace depends on), with commas between; default: nothing",
    _topics,
    frozenset,
)
target = Knob(
    "target",
    "WEFT_TARGET",
    "native or x86-64-v3",
    "CPU to compile for; default native",
    _choice("native", "x86-64-v3"),
    lambda: "native",
)

full_traceback = Knob(
    "full_traceback",
    "WEFT_FULL_TRACEBACK",
    "0 or 1",
    "1: tracebacks show Weft's own frames too; default 0",
    _integer(0, 1),
    lambda: 0,
)

ALL: tuple[Knob[Any], ...] = (
    threads,
    cache,
    cache_megabytes,
    dump,
    verify,
    check_memory,
    log,
    target,
    full_traceback,
)


def check() -> None:
    """UsageError for the first variable that is set to what it cannot be."""
    for knob in ALL:
        if os.environ.get(knob.variable):
            knob()


@contextmanager
def scope(**values: Any) -> Iterator[None]:
    """While open, knobs have these values (`with knobs.scope(threads=1)`), whatever is set."""
    names = {knob.name for knob in ALL}
    for name in values:
        if name not in names:
            raise UsageError(f"there is no knob {name!r}; there are {', '.join(sorted(names))}")
    before = _scoped.copy()
    _scoped.update(values)
    try:
        yield
    finally:
        _scoped.clear()
        _scoped.update(before)


def describe() -> str:
    """For each variable its name, what is set, and what it does."""
    lines = []
    for knob in ALL:
        text = os.environ.get(knob.variable, "")
        setting = f" = {text}" if text else ""
        about = textwrap.fill(
            f"{knob.variable}{setting}: {knob.help}", 78, subsequent_indent="    "
        )
        lines.append(textwrap.indent(about, "  "))
    return "\n".join(lines)
