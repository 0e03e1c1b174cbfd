"""Processes whose cache folder is in trouble: right results, one clear line, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import shutil, sys
import numpy as np
import weft as wf

@wf.jit
def f(x, w):
    return wf.nn.softmax(wf.tanh(x @ w) + 1.0)

x = np.linspace(0, 1, 12, dtype="f4").reshape(3, 4)
w = np.linspace(-1, 1, 20, dtype="f4").reshape(4, 5)
found = np.asarray(f(x, w))
hidden = np.exp(np.tanh(x @ w) + 1)
np.testing.assert_allclose(found, hidden / hidden.sum(1, keepdims=True), rtol=1e-5)
if "remove" in sys.argv:
    shutil.rmtree(sys.argv[-1])
    again = np.asarray(wf.jit(lambda x: wf.exp(x) * 7.5)(x))
    np.testing.assert_allclose(again, np.exp(x) * 7.5, rtol=1e-5)
print(found.tobytes().hex())
"""


def start(cache: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "WEFT_CACHE": cache}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**environment, "WEFT_VERIFY": "0", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(cache: str, *arguments: str) -> tuple[str, str]:
    """What the program printed, and its standard error."""
    process = start(cache, *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


@pytest.fixture(scope="module")
def expected() -> str:
    out, err = run("off")
    assert err == ""
    return out


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("??/*") if path.suffix != ".lock")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "empty": lambda path: path.write_bytes(b""),
    "a flipped bit": _flip,
    "something else": lambda path: path.write_bytes(b"#!/bin/sh\n" * 100),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_entries(damage: str, tmp_path: Path, expected: str) -> None:
    assert run(str(tmp_path)) == (expected, "")
    assert run(str(tmp_path)) == (expected, "")
    whole = {path: path.stat().st_size for path in entries(tmp_path)}
    assert whole
    for path in whole:
        DAMAGE[damage](path)
    out, err = run(str(tmp_path))
    assert out == expected
    assert err.count("\n") == 1 and "damaged" in err and str(tmp_path) in err
    assert {path: path.stat().st_size for path in entries(tmp_path)} == whole
    assert run(str(tmp_path)) == (expected, "")


def test_a_path_that_is_a_file(tmp_path: Path, expected: str) -> None:
    file = tmp_path / "precious"
    file.write_text("text")
    out, err = run(str(file))
    assert out == expected and file.read_text() == "text"
    assert err.count("\n") == 1 and f"{file} cannot be written" in err and "WEFT_CACHE=off" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_is_read_only(tmp_path: Path, expected: str) -> None:
    tmp_path.chmod(0o500)
    out, err = run(str(tmp_path))
    tmp_path.chmod(0o700)
    assert out == expected and err.count("\n") == 1 and "cannot be written" in err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_folder_that_cannot_be_made(expected: str) -> None:
    out, err = run("/proc/weft-cache")
    assert out == expected and err.count("\n") == 1 and "cannot be written" in err


def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No room for an entry: nothing half written stays, and the user reads one line."""
    import errno

    import numpy as np

    import weft as wf
    from weftrt.cache import store

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(store, "_write_atomically", full)
    for factor in (70.5, 71.5):
        found = wf.jit(lambda x, factor=factor: x * factor)(np.ones(3, "f4"))
        assert float(found[0]) == factor
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "No space left on device" in err
    assert entries(tmp_path / "full") == []


def test_removed_while_running(tmp_path: Path, expected: str) -> None:
    folder = tmp_path / "cache"
    assert run(str(folder), "remove", str(folder)) == (expected, "")
    assert entries(folder)


def test_processes_that_start_together(tmp_path: Path, expected: str) -> None:
    processes = [start(str(tmp_path)) for _ in range(8)]
    results = [process.communicate(timeout=240) for process in processes]
    assert results == [(expected, "")] * 8
    left = entries(tmp_path)
    assert left and not [path for path in left if path.name.startswith(".tmp")]
    assert run(str(tmp_path)) == (expected, "") and entries(tmp_path) == left


@pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5"])
def test_bad_threads(value: str) -> None:
    process = start("off", WEFT_THREADS=value)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1].endswith(
        f"UsageError: WEFT_THREADS is an integer from 1 to 1024, not '{value}'"
    )


def test_a_dump_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = start("off", WEFT_DUMP=str(tmp_path / "file"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "cannot be written" in err.splitlines()[-1]
