"""The disk cache: checked, atomic, bounded, and never needed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weftrt import dtypes, knobs
from weftrt.cache import Store, default_store, programs
from weftrt.program import ArraySpec, KernelCode, Program, Site, SizeSlot, Step, Temporary

KEY = "ab" + "0" * 62


def entry(root: Path) -> Path:
    (path,) = [p for p in root.glob("??/*") if p.suffix != ".lock"]
    return path


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 100_000])
def test_what_is_put_is_got(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, content)
    assert store.get(KEY) == content
    assert Store(tmp_path).get(KEY) == content
    stats = store.stats()
    assert (stats.entries, stats.hits, stats.misses) == (1, 1, 1)


@pytest.mark.parametrize("damage", ["truncated", "empty", "changed", "longer", "head"])
def test_a_damaged_entry_is_removed_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    store = Store(tmp_path)
    store.put(KEY, b"content of the entry")
    path = entry(tmp_path)
    data = path.read_bytes()
    changed = {
        "truncated": data[:-3],
        "empty": b"",
        "changed": data[:-1] + b"?",
        "longer": data + b"!",
        "head": b"weft9999" + data[8:],
    }
    path.write_bytes(changed[damage])
    assert store.get(KEY) is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "damaged" in lines[0]
    assert not path.exists()
    store.put(KEY, b"new")
    assert store.get(KEY) == b"new"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path).put(KEY, b"kept")
    (tmp_path / KEY[:2]).chmod(0o500)
    tmp_path.chmod(0o500)
    try:
        store = Store(tmp_path)
        assert store.get(KEY) == b"kept"
        store.put("cd" + KEY, b"lost")
        store.put("ce" + KEY, b"lost")
    finally:
        tmp_path.chmod(0o700)
        (tmp_path / KEY[:2]).chmod(0o700)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in the way stands for whatever keeps a folder from being written."""
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cache")
    for key in (KEY, "cd" + KEY):
        with store.building(key):
            store.put(key, b"lost")
        assert store.get(key) is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "cannot be written" in lines[0] and "WEFT_CACHE=off" in lines[0]


def test_a_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store = Store(tmp_path)
    store.put(KEY, b"lost")
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.glob("??/*")) == []


def test_the_oldest_entries_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path, limit_bytes=1000)
    keys = [f"{k:02d}{KEY}" for k in range(10)]
    for age, key in enumerate(keys):
        store.put(key, b"x" * 200)
        path = store.root / key[:2] / key if store.root else tmp_path
        moment = time.time() - 1000 + age
        if path.exists():
            os.utime(path, (moment, moment))
    assert store.get(keys[0]) is None
    assert store.get(keys[-1]) is not None
    assert store.stats().bytes <= 1000


def test_off_and_clear(tmp_path: Path) -> None:
    off = Store(None)
    off.put(KEY, b"lost")
    with off.building(KEY):
        assert off.get(KEY) is None
    assert (off.describe(), off.clear()) == ("off", 0)
    store = Store(tmp_path)
    store.put(KEY, b"x")
    assert str(tmp_path) in store.describe() and "1 entries" in store.describe()
    assert store.clear() == 1
    assert store.get(KEY) is None


def test_the_default_store_follows_the_knob(tmp_path: Path) -> None:
    with knobs.scope(cache=tmp_path):
        assert default_store().root == tmp_path
        assert default_store() is default_store()
    with knobs.scope(cache=None):
        assert default_store().root is None


HOLDER = """
import sys, time
from pathlib import Path
from weftrt.cache import Store
store = Store(Path(sys.argv[1]))
with store.building(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
    store.put(sys.argv[2], b"made by the other")
"""


def hold(root: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of KEY until a line comes."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_one_process_builds_while_others_wait(tmp_path: Path) -> None:
    child = hold(tmp_path)
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    store = Store(tmp_path)
    with store.building(KEY):
        assert store.get(KEY) == b"made by the other"
    child.communicate()


def test_a_process_that_dies_blocks_nobody(tmp_path: Path) -> None:
    child = hold(tmp_path)
    child.kill()
    child.communicate()
    store = Store(tmp_path)
    with store.building(KEY):
        store.put(KEY, b"made here")
    assert store.get(KEY) == b"made here"


def test_waiting_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weftrt.cache.store._LOCK_SECONDS", 0.05)
    child = hold(tmp_path)
    with Store(tmp_path).building(KEY):
        pass
    child.communicate("\n")


def example_program() -> Program:
    spec = ArraySpec(dtypes.float32, (SizeSlot(0), 4))
    return Program(
        name="f",
        key="key",
        inputs=(spec,),
        outputs=(spec,),
        symbols=((0, 0),),
        derived=(((4, (0,)),),),
        temporaries=(Temporary(0), Temporary(SizeSlot(1))),
        arena=SizeSlot(1),
        kernels=(KernelCode("kernel_1", "define void @kernel_1() { ret void }"),),
        steps=(Step(0, (0, 1), (0,), 0),),
        sites=(Site("file.py:3: x[i]", "index out of range"),),
        results=(0,),
        work=100,
    )


def test_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, program = Store(tmp_path), example_program()
    assert programs.load("key", store) is None
    programs.save("key", program, store)
    assert programs.load("key", store) == program
    assert programs.load("other", store) is None
    monkeypatch.setattr(programs, "compiler_digest", lambda: "another compiler")
    assert programs.load("key", store) is None


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("harmed",))


def test_a_program_entry_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "cache")
    programs.save("key", example_program(), store)
    path = entry(tmp_path / "cache")
    store.put(path.name, pickle.dumps(Harmful()))
    assert programs.load("key", store) is None
    assert not (tmp_path / "harmed").exists()
    store.put(path.name, pickle.dumps(17))
    assert programs.load("key", store) is None
