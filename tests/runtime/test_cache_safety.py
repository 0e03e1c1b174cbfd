"""What another user could have written is never loaded, and nothing in its place stops us."""

from __future__ import annotations

import os
import random
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from weftrt.cache import Store

KEY, OTHER = "ab" + "0" * 62, "cd" + "1" * 62
STRANGER = 54321

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to another user")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def place(root: Path, key: str = KEY) -> Path:
    return root / key[:2] / key


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_modes_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    root = tmp_path / "made" / "cache"
    with umask(mask):
        store = Store(root)
        store.put(KEY, b"content")
        with store.building(OTHER):
            lock = root / OTHER[:2] / f"{OTHER}.lock"
            assert mode(lock) & 0o177 == 0
        store.put(OTHER, b"content")
        assert store.get(KEY) == b"content"
    for folder in (root.parent, root, place(root).parent, place(root, OTHER).parent):
        assert mode(folder) == 0o700
    for file in (place(root), place(root, OTHER), root / "ledger"):
        assert mode(file) == 0o600


PLACES: dict[str, Callable[[Path], Path]] = {
    "root": lambda root: root,
    "shard": lambda root: place(root).parent,
    "entry": place,
}


def is_refused(root: Path, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and from then on nothing is read or written."""
    before = {path: path.read_bytes() for path in root.glob("??/*")}
    store = Store(root)
    for _ in range(2):
        assert store.get(KEY) is None
        with store.building(OTHER):
            store.put(OTHER, b"new")
        assert store.get(OTHER) is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and error in lines[0] and "WEFT_CACHE=off" in lines[0]
    assert {path: path.read_bytes() for path in root.glob("??/*")} == before
    assert store.problem() is not None and error in store.problem()


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("extra", [0o020, 0o002])
def test_what_others_may_write_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, extra: int
) -> None:
    Store(tmp_path).put(KEY, b"content")
    path = PLACES[where](tmp_path)
    path.chmod(mode(path) | extra)
    is_refused(tmp_path, f"{path} can be written by other users", capsys)


@as_root
@pytest.mark.parametrize("where", PLACES)
def test_what_another_user_owns_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    Store(tmp_path).put(KEY, b"content")
    path = PLACES[where](tmp_path)
    os.chown(path, STRANGER, STRANGER)
    is_refused(tmp_path, f"{path} belongs to another user", capsys)


@as_root
def test_a_link_that_another_user_made_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(tmp_path / "real").put(KEY, b"content")
    link = tmp_path / "link"
    link.symlink_to("real")
    assert Store(link).get(KEY) == b"content"
    os.lchown(link, STRANGER, STRANGER)
    is_refused(link, f"{link} belongs to another user", capsys)


def test_readable_by_others_is_no_fault(tmp_path: Path) -> None:
    Store(tmp_path).put(KEY, b"content")
    for path in (tmp_path, place(tmp_path).parent, place(tmp_path)):
        path.chmod(0o755)
    assert Store(tmp_path).get(KEY) == b"content"


def test_a_shard_that_is_a_link(tmp_path: Path) -> None:
    Store(tmp_path / "real").put(KEY, b"content")
    (tmp_path / "cache").mkdir(0o700)
    (tmp_path / "cache" / "ab").symlink_to(tmp_path / "real" / "ab")
    store = Store(tmp_path / "cache")
    assert store.get(KEY) == b"content"  # our own link to our own folder
    assert store.clear() == 1


def _socket(path: Path) -> None:
    folder = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name[:60])
        os.rename(path.name[:60], path.name)
    finally:
        os.chdir(folder)


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def _link(path: Path) -> None:
    (path.parent / "target").write_bytes(b"precious")
    path.symlink_to("target")


IMPOSTORS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "socket": _socket,
    "link": _link,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "huge": _sparse,
}
if os.geteuid() == 0:
    IMPOSTORS["device"] = lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_what_is_no_entry_is_removed_and_built_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    store = Store(tmp_path)
    store.put(KEY, b"content")
    place(tmp_path).unlink()
    try:
        IMPOSTORS[kind](place(tmp_path))
    except PermissionError:
        pytest.skip("this container makes no devices")
    assert store.get(KEY) is None
    assert "damaged" in capsys.readouterr().err
    assert not os.path.lexists(place(tmp_path))
    store.put(KEY, b"new")
    assert store.get(KEY) == b"new"
    target = place(tmp_path).parent / "target"
    assert not target.exists() or target.read_bytes() == b"precious"


def test_a_folder_in_the_place_of_an_entry(tmp_path: Path) -> None:
    place(tmp_path).mkdir(0o700, parents=True)
    tmp_path.joinpath("ab").chmod(0o700)
    store = Store(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, b"lost")
    assert store.get(KEY) is None


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_follows_no_link_and_waits_for_no_pipe(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path)
    store.put(KEY, b"content")
    lock = tmp_path / "ab" / f"{KEY}.lock"
    victim = tmp_path / "victim"
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with store.building(KEY):
        store.put(KEY, b"new")
    assert store.get(KEY) == b"new"
    assert not victim.exists()


def test_entries_put_in_the_place_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checksum is of the key too: an entry is good only in its own place."""
    store = Store(tmp_path)
    store.put(KEY, b"of the first")
    store.put(OTHER, b"of the other")
    os.replace(place(tmp_path), place(tmp_path, OTHER))
    assert store.get(OTHER) is None
    assert "damaged" in capsys.readouterr().err
    assert not place(tmp_path, OTHER).exists()


def _damaged(data: bytes, number: int, draw: random.Random) -> bytes:
    position = draw.randrange(len(data))
    if number % 4 == 0:
        return data[:position]
    if number % 4 == 1:
        return data + draw.randbytes(1 + position)
    if number % 4 == 2:
        return draw.randbytes(len(data))
    return (
        data[:position] + bytes([data[position] ^ (1 << draw.randrange(8))]) + data[position + 1 :]
    )


def test_a_thousand_damaged_entries_are_built_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(5)
    contents = {f"{draw.getrandbits(256):064x}": draw.randbytes(200) for _ in range(1000)}
    store = Store(tmp_path)
    for key, content in contents.items():
        store.put(key, content)
    for number, key in enumerate(contents):
        path = place(tmp_path, key)
        path.write_bytes(_damaged(path.read_bytes(), number, draw))
    for key, content in contents.items():
        assert store.get(key) is None and not place(tmp_path, key).exists()
        store.put(key, content)
    assert all(store.get(key) == content for key, content in contents.items())
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("stream", ["none", "closed"])
def test_no_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    error = None
    if stream == "closed":
        error = open(os.devnull, "w")  # noqa: SIM115
        error.close()
    monkeypatch.setattr("sys.stderr", error)
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file")
    store.put(KEY, b"lost")
    assert store.get(KEY) is None
    assert capsys.readouterr().out == ""
