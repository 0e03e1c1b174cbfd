"""A run from the command line to its JSON, what is compared, and what is drawn."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import __main__ as command
from benchmarks import compare, limits, measure, plot, records, report, running, suites, targets
from benchmarks.numexpr_text import expression
from benchmarks.peers import named
from benchmarks.records import Case, Limits, Machine, Measurement, Row, Run
from benchmarks.suites.pointwise import chain
from benchmarks.text import figure
from benchmarks.workers import There, Worker, workers

LIMITS = Limits({"float32": 1e11, "float64": 5e10}, {1 << 20: 2e10}, {1 << 20: 3e10})
MACHINE = Machine("a CPU", 2, ("avx2",), 256, 1 << 15, 1 << 20, 0, 1 << 34, "Linux", {"numpy": "2"})


def row(
    case: str, suite: str = "gemm", work: tuple[float, ...] = (0, 0, 0), **medians: float
) -> Row:
    found = tuple(Measurement(name, m, m * 0.99, m * 1.01, 5) for name, m in medians.items())
    return Row(suite, case, found, {}, "s", *work)


def a_run(*rows: Row, threads: int = 1) -> Run:
    return Run("2026-01-01 00:00 UTC", threads, False, MACHINE, LIMITS, rows)


tiny = partial(min, 8)


def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly any rounds, and small sizes."""
    monkeypatch.setattr(measure, "QUICK", measure.Effort(2, 1e-4, 1))
    monkeypatch.setattr(limits, "SIZES", (1 << 14,))
    monkeypatch.setattr(limits, "TURNS", 16)
    monkeypatch.setattr(running, "Settings", partial(running.Settings, size=tiny))
    monkeypatch.setattr("benchmarks.peers.set_threads", lambda threads: None)


def test_a_run_is_printed_written_and_shown_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quickly(monkeypatch)
    path = tmp_path / "run.json"
    command.main(["pointwise", "--peers", "numpy", "--quick", "--json", str(path)])
    printed, progress = capsys.readouterr()
    assert "20-op chain 8x8" in printed and "pointwise" in progress
    run = records.read(path)
    assert [m.name for m in run.rows[0].measurements] == ["weft", "numpy"]
    assert command.main(["show", str(path)]) == 0
    assert "20-op chain 8x8" in capsys.readouterr().out
    assert command.main(["compare", str(path), str(path)]) == 0
    assert f"0 of {len(run.rows)} rows slower" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no suite nothing; there are: pointwise"),
        (["--suite", "gemm,nothing"], "no suite nothing"),
        (["--peers", "nothing"], "no peer nothing; there are: numpy"),
        (["--json", "/nowhere/run.json"], "/nowhere/run.json: there is no such folder"),
        (["--threads", "0"], "--threads is at least 1"),
        (["compare", "/nowhere", "/nowhere"], "No such file"),
    ],
)
def test_what_is_mistaken_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert message in capsys.readouterr().err


def test_a_plot_without_matplotlib_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        command.main(["gemm", "--plot", "x.png"])
    assert "pip install matplotlib" in capsys.readouterr().err


def test_peers_that_are_missing_are_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = running.chosen_peers(["numpy", "openvino", "onnxruntime"], quick=False)
    line = capsys.readouterr().err
    missing = {"openvino", "onnxruntime"} - {p.name for p in found}
    assert line.count("\n") == bool(missing) and all(name in line for name in missing)


def test_peers_by_module_and_by_name() -> None:
    assert [p.name for p in named(["torch", "jax.jit"])] == [
        "torch eager",
        "torch.compile",
        "jax.jit",
    ]


def test_json_keeps_all_of_a_run(tmp_path: Path) -> None:
    run = a_run(row("a", work=(1e6, 1e5, 1e4), weft=1.0, numpy=2.0), row("b", weft=1.0))
    records.write(run, tmp_path / "run.json")
    assert records.read(tmp_path / "run.json") == run


def test_other_json_is_refused(tmp_path: Path) -> None:
    for text in ("[]", "{}", "nothing", '{"format": 0}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ValueError, match=r"x\.json"):
            records.read(tmp_path / "x.json")


COMMITTED = sorted((Path(records.__file__).parent / "results").glob("*.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_run_can_be_read(path: Path) -> None:
    assert report.whole(records.read(path))


def test_slower_is_what_grew_more_than_the_peers_and_the_spread() -> None:
    before = a_run(*(row(name, weft=1.0, numpy=2.0, torch=3.0) for name in "abcd"))
    after = a_run(
        row("a", weft=1.5, numpy=2.0, torch=3.0),  # slower
        row("b", weft=1.5, numpy=3.0, torch=4.5),  # so was the machine
        row("c", weft=1.06, numpy=2.0, torch=3.0),  # within the tolerance and both spreads
        row("d", weft=0.5, numpy=2.0, torch=3.0),
        row("e", weft=9.0),  # new
    )
    found = list(compare.changes(before, after))
    assert [c.after.case for c in compare.slower(found, 0.1)] == ["a"]
    assert [c.after.case for c in compare.faster(found, 0.1)] == ["d"]
    text = compare.report(before, after, 0.1)
    assert "1 of 4 rows slower" in text and "1.50x  gemm: a: 1 s -> 1.5 s, peers 1.00x" in text


def test_a_row_that_fails_now_is_told() -> None:
    after = a_run(replace(row("a"), unable={"weft": "is wrong"}))
    assert "FAILED now: gemm: a: is wrong" in compare.report(a_run(), after)


def test_targets_are_held_or_missed() -> None:
    held, missed = (row("matmul 4096x4096x16", weft=1.0, numpy=n) for n in (1.2, 1.05))
    run = a_run(held, missed)
    assert [v.holds for v in targets.verdicts(run, held)] == [True]
    assert [v.holds for v in targets.verdicts(run, missed)] == [False]
    assert "MISSED (1.05)" in report.row(run, missed, ["numpy"])


def test_a_target_of_several_rows_is_their_geometric_mean() -> None:
    run = a_run(*(row(f"matmul {n}x{n}x{n}", weft=1.0, numpy=v) for n, v in ((128, 1), (256, 4))))
    (verdict,) = targets.together(run, "gemm")
    assert verdict.value == pytest.approx(2) and verdict.holds


def test_targets_are_for_their_number_of_threads() -> None:
    found = row("matmul 256x256x256", weft=1.0, numpy=0.9)
    texts = [v.text for v in targets.verdicts(a_run(found, threads=2), found)]
    assert texts == [">= 1x numpy"]


def test_the_share_of_the_limit_is_that_of_the_slower_of_work_and_bytes() -> None:
    computing = row("a", work=(1e11, 1e6, 0), weft=2.0)
    copying = row("b", work=(1.0, 1e10, 1e10), weft=2.0)
    reading = row("c", work=(0, 3e10, 0), weft=2.0)
    run = a_run(computing, copying, reading)
    assert [run.share(r) for r in run.rows] == pytest.approx([0.5, 0.5, 0.5])
    assert run.share(row("d", weft=2.0)) is None


def test_limits_are_measured() -> None:
    found = limits.measure(2, sizes=(1 << 14,), rounds=1)
    assert all(rate > 0 for table in (found.fma, found.copy, found.read) for rate in table.values())


@pytest.mark.parametrize("name", ("fma float32", "fma float64", "read", "copy", "stream"))
def test_loops_of_limits_do_what_they_say(name: str) -> None:
    turns = 3
    lanes = limits.host().vector_bits // 32
    source = np.arange(turns * limits.VECTORS * lanes, dtype=np.float32)
    room = limits._aligned(source.nbytes)
    limits._loop(name)(source.ctypes.data, room.ctypes.data, turns)
    if name in ("copy", "stream"):
        assert room.tobytes() == source.tobytes()
    elif name == "read":
        words = np.bitwise_or.reduce(source.view(np.int64).reshape(-1, lanes // 2), axis=0)
        assert room[: words.nbytes].tobytes() == words.tobytes()
    else:
        kind = name.split()[1]
        x = source.view(kind)[: limits._lanes(kind)].astype("d")
        expected = x + limits.CHAINS * (((x * x + x) * x + x) * x + x)
        assert np.allclose(room.view(kind)[: x.size], expected, rtol=1e-5)


def of_two(maker: Callable[[], Any], **how: Any) -> Case:
    makers = {"weft": lambda: lambda: np.ones(2), "numpy": lambda: maker}
    return Case("a case", makers, lambda: np.ones(2), **how)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.array([1.0, 1.1]), "is wrong by 1.0e-01"),
        (np.array([1.0, np.nan]), "is wrong by nan"),
        (np.ones(3), r"gives shape \(3,\)"),
        ((np.ones(2), np.ones(2)), "gives 2 results, not 1"),
    ],
)
def test_a_wrong_result_is_not_timed(result: Any, message: str) -> None:
    case = of_two(lambda: result)
    found = measure.measure("s", case, measure.here(case), measure.Effort(2, 1e-4, 1))
    assert [m.name for m in found.measurements] == ["weft"]
    assert re.search(message, found.unable["numpy"])


def test_who_cannot_do_a_case_says_why() -> None:
    def cannot() -> Any:
        raise NotImplementedError("no such thing\nreally")

    case = of_two(cannot)
    found = measure.measure("s", case, measure.here(case), measure.Effort(2, 1e-4, 1))
    assert found.unable == {"numpy": "NotImplementedError: no such thing"}


def test_what_stands_beside_is_not_compared_and_figures_are_kept() -> None:
    other = of_two(lambda: np.zeros(5), unchecked=frozenset(["numpy"]))
    assert measure.measure("s", other, measure.here(other), measure.Effort(2, 1e-4, 1)).unable == {}
    sizes = Case("sizes", {"weft": lambda: lambda: 7.0}, unit="B", figure=True)
    found = measure.measure("s", sizes, measure.here(sizes), measure.Effort(2, 1e-4, 3))
    assert found.measurements == (Measurement("weft", 7.0, 7.0, 7.0, 3),)


def test_contestants_in_processes_of_their_own_take_turns() -> None:
    with workers(tiny) as apart:
        for index, case in enumerate(suites.cases("pointwise", tiny)):
            kept = running.among(case, named(["numpy"]))
            contestants = apart.contestants("pointwise", index, kept)
            found = measure.measure("pointwise", kept, contestants, measure.Effort(2, 1e-4, 1))
            assert not found.unable and found.ratio("numpy")
            if index == 1:
                break


def test_a_worker_that_dies_is_told() -> None:
    worker = Worker(tiny)
    worker._process.terminate()
    with pytest.raises(measure.Unable, match="died"):
        There(worker, "pointwise", 0, "weft").prepare()
    worker.close()


def test_a_pointwise_function_as_text() -> None:
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal(5) for _ in range(3))
    text, given = expression(chain, arrays)
    functions = {name: getattr(np, name) for name in ("tanh", "exp", "sqrt", "sin")}
    assert np.allclose(eval(text, functions, given), chain(np)(*arrays))
    with pytest.raises(AttributeError, match="no matmul"):
        expression(lambda xp: xp.matmul, arrays)


def test_a_plot_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = a_run(row("a", work=(1e6, 1e5, 1e4), weft=1e-3, numpy=2e-3), row("b", weft=1.0, jax=0.5))
    plot.draw(run, tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_progress_is_a_line_that_changes_on_a_terminal_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    file, terminal = io.StringIO(), Terminal()
    for stream in (file, terminal):
        progress = report.Progress(stream)
        progress.suite("gemm", 1, 2)
        progress.case("gemm: a case")
    assert file.getvalue() == "[1/2] gemm\n"
    assert "\r" in terminal.getvalue() and "a case" in terminal.getvalue()


def test_figures_are_as_people_read_them() -> None:
    found = [
        figure(*pair) for pair in ((1.234e-3, "s"), (4.5e6, "B"), (3e-9, "s"), (2, "programs"))
    ]
    assert found == ["1.23 ms", "4.5 MB", "3 ns", "2 programs"]
