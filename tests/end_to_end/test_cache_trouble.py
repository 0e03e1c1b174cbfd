"""Processes whose cache folder is in trouble: right results, one clear line, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import os, shutil, sys
import numpy as np
import weft as wf
from weftc import pipeline
from weftrt.cpu.ahead import _Worker
from weftrt.cpu.linker import Linker

def count(owner, name):
    original = getattr(owner, name)
    def counted(*arguments, **keywords):
        built.append(name)
        return original(*arguments, **keywords)
    setattr(owner, name, counted)

built = []
count(pipeline, "compile")
count(Linker, "_compile")
count(_Worker, "compile")

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
if "count" in sys.argv:
    print(len(built))
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


def run(cache: str, *arguments: str, **variables: str) -> tuple[str, str]:
    """What the program printed, and its standard error."""
    process = start(cache, *arguments, **variables)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


@pytest.fixture(scope="module")
def expected() -> str:
    out, err = run("off")
    assert err == ""
    return out


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, expected: str) -> Path:
    """A folder that two processes used, the second of which built nothing."""
    folder = tmp_path_factory.mktemp("filled")
    assert run(str(folder)) == (expected, "")
    assert run(str(folder), "count") == (expected + "0\n", "")
    return folder


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
def test_damaged_entries(damage: str, tmp_path: Path, filled: Path, expected: str) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    whole = {path: path.stat().st_size for path in entries(tmp_path)}
    assert whole
    for path in whole:
        DAMAGE[damage](path)
    out, err = run(str(tmp_path))
    assert out == expected
    assert err.count("\n") == 1 and "damaged" in err and str(tmp_path) in err
    assert {path: path.stat().st_size for path in entries(tmp_path)} == whole
    assert run(str(tmp_path), "count") == (expected + "0\n", "")


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
    from weftrt.cache import files

    def full(path: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(files, "write", full)
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


def test_processes_that_start_together_compile_once(tmp_path: Path, expected: str) -> None:
    once, _ = run(str(tmp_path / "alone"), "count")
    processes = [start(str(tmp_path / "shared"), "count") for _ in range(8)]
    results = [process.communicate(timeout=240) for process in processes]
    assert [(out.splitlines()[0] + "\n", err) for out, err in results] == [(expected, "")] * 8
    counts = [int(out.splitlines()[1]) for out, _ in results]
    assert sum(counts) == int(once.splitlines()[1]) > 0
    left = entries(tmp_path / "shared")
    assert left and not [path for path in left if path.name.startswith(".tmp")]
    assert run(str(tmp_path / "shared")) == (expected, "")
    assert entries(tmp_path / "shared") == left


def test_processes_killed_while_they_start(tmp_path: Path, expected: str) -> None:
    """At moments spread over a whole cold start, two at a time."""
    started = time.monotonic()
    run(str(tmp_path / "whole"))
    length = time.monotonic() - started
    for moment in range(5):
        pair = [start(str(tmp_path / "killed")) for _ in range(2)]
        time.sleep(length * (0.3 + 0.15 * moment))
        for process in pair:
            process.kill()
            process.communicate()
    assert run(str(tmp_path / "killed")) == (expected, "")
    out, err = run(str(tmp_path / "killed"), "count")
    assert (out, err) == (expected + "0\n", "")


@pytest.mark.parametrize(
    "home",
    ["", "import pwd; pwd.getpwuid = pwd.getpwnam = lambda key: {}[key]"],
    ids=["unwritable", "unknown"],
)
def test_no_home(tmp_path: Path, expected: str, home: str) -> None:
    """A container with a user of its own: the cache goes to the temporary folder."""
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "TMPDIR": str(tmp_path)}
    for name in ("HOME", "XDG_CACHE_HOME", "WEFT_CACHE", "LOCALAPPDATA"):
        environment.pop(name, None)
    if not home:
        environment["HOME"] = os.devnull
    command = [sys.executable, "-c", home + PROGRAM]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (expected, "")
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"weft-{os.geteuid()}" and entries(folder)


@pytest.mark.parametrize("cache", ["off", "unusable"])
def test_the_native_runtime_is_kept_where_nothing_else_is(
    tmp_path: Path, expected: str, cache: str
) -> None:
    (tmp_path / "unusable").touch()
    spare = tmp_path / "temporary"
    spare.mkdir()
    place = cache if cache == "off" else str(tmp_path / cache)
    counts = []
    for _ in range(2):
        out, err = run(place, "count", TMPDIR=str(spare))
        assert out.startswith(expected) and err.count("\n") == (cache != "off")
        counts.append(int(out.splitlines()[1]))
    assert counts[1] == counts[0] - 2  # the parts of the runtime: hot and rare
    (folder,) = spare.iterdir()
    kept = entries(folder)
    assert len(kept) == 2 and folder.stat().st_mode & 0o777 == 0o700
    assert all(entry.stat().st_mode & 0o777 == 0o600 for entry in kept)
    folder.chmod(0o777)
    out, err = run(place, "count", TMPDIR=str(spare))
    assert int(out.splitlines()[1]) == counts[0] and err.count("\n") == (cache != "off")


def test_a_relative_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    script = PROGRAM.replace("@wf.jit", "os.chdir('elsewhere')\n@wf.jit", 1)
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "WEFT_CACHE": "here"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (expected, "")
    assert entries(tmp_path / "here") and not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["naïve ∂ and spaces", "new\nline", "x" * 300, "~"])
def test_odd_names(tmp_path: Path, expected: str, name: str) -> None:
    folder = f"{tmp_path}/{name}"
    out, err = run(folder)
    assert out == expected and err.count("weft:") == (1 if len(name) > 255 else 0)
    assert len(name) > 255 or entries(Path(folder))


def test_no_standard_error(tmp_path: Path, expected: str) -> None:
    (tmp_path / "file").touch()
    command = f"{sys.executable} -c '{PROGRAM}' 2>&-"
    environment = {"PYTHONPATH": ":".join(sys.path), "WEFT_CACHE": str(tmp_path / "file")}
    done = subprocess.run(
        command, shell=True, env=os.environ | environment, check=True, stdout=subprocess.PIPE
    )
    assert done.stdout.decode() == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts disks")
@pytest.mark.parametrize("options", ["size=64k", "size=4m,ro"], ids=["full", "read-only"])
def test_a_disk_that_takes_nothing(tmp_path: Path, expected: str, options: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(tmp_path)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("this container mounts nothing")
    try:
        out, err = run(str(tmp_path / "cache"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert out == expected and err.count("\n") <= 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders to another user")
def test_a_folder_of_another_user(tmp_path: Path, filled: Path, expected: str) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder)
    os.chown(folder, 54321, 54321)
    out, err = run(str(folder), "count")
    assert out.startswith(expected) and int(out.splitlines()[1]) > 0
    assert err.count("\n") == 1 and "belongs to another user" in err


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
