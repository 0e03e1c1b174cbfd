"""The disk cache: checked, atomic, bounded, and never needed."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from weftrt import dtypes, knobs
from weftrt.cache import Store, default_store, programs
from weftrt.errors import OutOfBoundsError
from weftrt.program import ArraySpec, KernelCode, Launch, Program, Site, Temporary
from weftrt.program_bytes import to_bytes
from weftrt.size_expressions import SizeOp, SizeSlot

KEY = "ab" + "0" * 62


def entry(root: Path) -> Path:
    (path,) = root.glob("??/*")
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
        "head": b"other..." + data[8:],
    }
    path.write_bytes(changed[damage])
    assert store.get(KEY) is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "damaged" in lines[0]
    assert not path.exists()
    store.put(KEY, b"new")
    assert store.get(KEY) == b"new"


def test_a_thousand_damaged_entries_are_never_loaded(tmp_path: Path) -> None:
    rng, store = random.Random(5), Store(tmp_path)
    keys = [f"{rng.getrandbits(256):064x}" for _ in range(1000)]
    for key in keys:
        store.put(key, key.encode() * 20)
    for number, key in enumerate(keys):
        path = tmp_path / key[:2] / key
        data = bytearray(path.read_bytes())
        other = keys[number - 1]
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        swapped = (tmp_path / other[:2] / other).read_bytes()
        damaged = (flipped, data[: rng.randrange(len(data))], swapped, data + b"x")
        path.write_bytes(damaged[number % 4])
    assert not any(Store(tmp_path).get(key) for key in keys)
    for key in keys:
        store.put(key, b"new")
    assert all(store.get(key) == b"new" for key in keys)


def test_an_entry_of_another_release_goes_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.put(KEY, b"content")
    path = entry(tmp_path)
    path.write_bytes(b"weft0001" + path.read_bytes()[8:])
    assert store.get(KEY) is None and not path.exists()
    assert capsys.readouterr().err == ""


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


LIMIT = 64 << 10
KEYS = [f"{number:02d}{KEY}" for number in range(100)]


def disk_use(root: Path) -> int:
    """Bytes in the blocks of all entries."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in root.glob("??/*"))


def set_time(root: Path, key: str, moment: float) -> None:
    path = root / key[:2] / key
    if path.exists():
        os.utime(path, (moment, moment))


def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path, LIMIT)
    for age, key in enumerate(KEYS):
        store.put(key, b"x" * 5000)
        set_time(tmp_path, key, 1e9 + age)
        assert disk_use(tmp_path) <= LIMIT
        assert store.get(KEYS[0]) is not None  # in use all the time
    assert store.get(KEYS[1]) is None and store.get(KEYS[-1]) is not None
    assert store.stats().entries >= 4


def test_many_short_processes_stay_within_the_limit(tmp_path: Path) -> None:
    """Each starts with no memory of what the others wrote."""
    for key in KEYS:
        Store(tmp_path, LIMIT).put(key, b"x" * 100)
        assert disk_use(tmp_path) <= LIMIT


@pytest.mark.parametrize("ledger", ["none", "link", "pipe"])
def test_a_large_folder_is_counted_first(tmp_path: Path, ledger: str) -> None:
    for key in KEYS:
        Store(tmp_path).put(key, b"x" * 100)
    assert disk_use(tmp_path) > LIMIT
    path = tmp_path / "ledger"
    path.unlink()
    if ledger == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif ledger == "pipe":
        os.mkfifo(path)
    Store(tmp_path, LIMIT).put(KEY, b"x")
    assert disk_use(tmp_path) <= LIMIT
    assert not (tmp_path / "elsewhere").exists()


def test_only_files_of_the_store_are_removed(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir(0o700)
    (tmp_path / "letters").mkdir(0o700)
    strangers = [tmp_path / "ab" / ("0" * 38), tmp_path / "letters" / KEY, tmp_path / "note"]
    for path in strangers:
        path.write_bytes(b"precious" * 20_000)
    store = Store(tmp_path, LIMIT)
    for key in KEYS:
        store.put(key, b"x" * 100)
    assert store.clear() > 0
    assert all(path.exists() for path in strangers)


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, LIMIT)
    store.put(KEYS[1], b"small")
    store.put(KEY, b"x" * LIMIT)
    assert store.get(KEY) is None and store.get(KEYS[1]) == b"small"


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


def test_all_waiting_together_ends(tmp_path: Path) -> None:
    child = hold(tmp_path)
    store = Store(tmp_path, patience=0.2)
    started = time.monotonic()
    with store.building(KEY):
        waited = time.monotonic() - started
        store.put(KEY, b"made here as well")
    assert waited >= 0.2
    for _ in range(1000):
        with store.building(KEY):
            pass
    with store.building(KEYS[5]):  # what nobody holds is held all the same
        assert (tmp_path / KEYS[5][:2] / f"{KEYS[5]}.lock").exists()
    child.communicate("\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_keep_a_lock(tmp_path: Path) -> None:
    store = Store(tmp_path, patience=0)
    read, write = os.pipe()
    with store.building(KEY):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent has done
            os._exit(0)
    try:
        with store.building(KEY):
            assert (tmp_path / KEY[:2] / f"{KEY}.lock").exists()
    finally:
        os.close(write)
        os.waitpid(child, 0)
        os.close(read)


def example_program() -> Program:
    spec = ArraySpec(dtypes.float32, (SizeSlot(0), 4))
    return Program(
        name="f",
        key="key",
        inputs=(spec,),
        outputs=(spec,),
        symbols=((0, 0),),
        derived=((SizeSlot(0), 4, SizeOp.MUL),),
        temporaries=(Temporary(0), Temporary(SizeSlot(1))),
        arena=SizeSlot(1),
        kernels=(KernelCode("kernel_1", "define void @kernel_1() { ret void }"),),
        steps=(Launch(0, (0, 1), (0,), 0),),
        sites=(Site(OutOfBoundsError, "file.py:3: x[i]", "index out of range"),),
        results=(0,),
        work=100,
    )


def build() -> Program:
    return example_program()


def refuse() -> NoReturn:
    raise AssertionError("built again")


def test_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, program = Store(tmp_path), example_program()
    assert programs.fetch("key", build, store) == (program, False)
    assert programs.fetch("key", refuse, store) == (program, True)
    assert programs.fetch("other", build, store) == (program, False)
    monkeypatch.setattr(programs, "compiler_digest", lambda: "another compiler")
    assert programs.fetch("key", build, store) == (program, False)


def test_a_program_is_built_by_one_process(tmp_path: Path) -> None:
    """The lock is held while it is built, and who waited for it looks again."""
    store = Store(tmp_path)

    def build_with_a_rival() -> Program:
        with pytest.raises(AssertionError, match="built again"):
            programs.fetch("key", refuse, Store(tmp_path, patience=0.05))
        return example_program()

    programs.fetch("key", build_with_a_rival, store)
    with pytest.raises(KeyError):
        programs.fetch("failing", lambda: {}["no"], store)
    assert programs.fetch("failing", build, store) == (example_program(), False)


def test_the_compiler_is_known_by_its_content(tmp_path: Path) -> None:
    """Not by sizes and times, which an image may have set to the same value."""
    (tmp_path / "part").mkdir()
    source = tmp_path / "part" / "module.py"
    digests = []
    for text in ("x = 1\n", "x = 2\n", "x = 1\n"):
        source.write_text(text)
        os.utime(source, (0, 0))
        digests.append(programs.sources_digest([str(tmp_path)]))
    assert digests[0] == digests[2] != digests[1]
    source.rename(tmp_path / "part" / "other.py")
    assert programs.sources_digest([str(tmp_path)]) not in digests


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        pickle.dumps(example_program()),
        to_bytes(example_program()).replace(b"program 1", b"program 0", 1),
        to_bytes(example_program())[:-1],
    ],
)
def test_an_entry_that_is_no_program(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    programs.fetch("key", build, store)
    store.put(entry(tmp_path).name, content)
    assert programs.fetch("key", build, store) == (example_program(), False)
    assert programs.fetch("key", refuse, store) == (example_program(), True)
