"""python -m benchmarks [SUITE ...]: Weft beside its peers, on the same work, in one run.
`compare A.json B.json`: what got slower. `show RUN.json`: the rows of a run."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import suites


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1: a target is missed, Weft failed, or (compare) something got slower."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"compare": _compare, "show": _show}
    if given and given[0] in commands:
        return commands[given[0]](given[1:])
    return _run(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    text = ", ".join(suites.NAMES)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"all, or some of: {text}")
    parser.add_argument("--suite", default="", metavar="NAMES", help="the same, with commas")
    parser.add_argument("--peers", default="", metavar="NAMES", help="some, with commas; or none")
    parser.add_argument("--threads", type=int, default=1, help="for every library (default 1)")
    parser.add_argument("--quick", action="store_true", help="some cases only, in 2 minutes")
    parser.add_argument("--json", metavar="FILE", help="also write the run here")
    parser.add_argument("--plot", metavar="FILE.png", help="also draw it (needs matplotlib)")
    return parser


def _run(given: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(given)
    chosen = _chosen_suites(parser, options)
    if options.threads < 1:
        parser.error("--threads is at least 1")
    _can_plot(parser, options.plot)
    for path in (options.json, options.plot):
        if path and not Path(path).absolute().parent.is_dir():
            parser.error(f"{path}: there is no such folder")

    from benchmarks.peers import set_threads

    set_threads(options.threads)
    warnings.simplefilter("ignore")  # the peers' own
    from benchmarks import running

    try:
        peers = running.chosen_peers(_names(options.peers), options.quick)
    except ValueError as error:
        parser.error(str(error))
    settings = running.Settings(chosen, peers, options.threads, options.quick)
    return running.run(settings, _path(options.json), _path(options.plot))


def _chosen_suites(parser: argparse.ArgumentParser, options: Any) -> tuple[str, ...]:
    """Those that are named, by their names of before too; all where none is."""
    named = [suites.FORMER.get(n, n) for n in (*options.suites, *_names(options.suite))]
    for name in named:
        if name not in suites.NAMES:
            parser.error(f"no suite {name}; there are: {', '.join(suites.NAMES)}")
    return tuple(named or suites.NAMES)


def _can_plot(parser: argparse.ArgumentParser, path: str | None) -> None:
    """Say so before the work, where it could not be drawn."""
    from benchmarks import plot

    if path and plot.missing():
        parser.error(plot.missing())


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _compare(given: list[str]) -> int:
    from benchmarks import compare

    parser = argparse.ArgumentParser(prog="python -m benchmarks compare")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--tolerance", type=float, default=compare.TOLERANCE,
                        help="what counts as slower (default 0.05)")  # fmt: skip
    options = parser.parse_args(given)
    before, after = (_read(parser, path) for path in (options.before, options.after))
    print(compare.report(before, after, options.tolerance))
    return int(bool(compare.slower(list(compare.changes(before, after)), options.tolerance)))


def _show(given: list[str]) -> int:
    from benchmarks import report

    parser = argparse.ArgumentParser(prog="python -m benchmarks show")
    parser.add_argument("run", type=Path)
    parser.add_argument("--plot", metavar="FILE.png", help="also draw it")
    options = parser.parse_args(given)
    _can_plot(parser, options.plot)
    run = _read(parser, options.run)
    print(report.whole(run))
    if options.plot:
        from benchmarks import plot

        plot.draw(run, Path(options.plot))
    return 0


def _read(parser: argparse.ArgumentParser, path: Path) -> Any:
    from benchmarks import records

    try:
        return records.read(path)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    raise SystemExit(main())
