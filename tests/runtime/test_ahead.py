"""Modules compiled on other threads: the same bytes, whoever asks, interrupts or forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weftrt.cache import Store
from weftrt.cpu import ahead
from weftrt.cpu.ahead import Ahead, _Worker
from weftrt.cpu.host import host
from weftrt.cpu.linker import Linker
from weftrt.errors import CompileError
from weftrt.program import KernelCode


def module(number: int) -> str:
    """A module that takes LLVM a while."""
    lines = [f"define void @f{number}(ptr %x, i64 %n) {{"]
    for k in range(200):
        lines.append(f"  %p{k} = getelementptr float, ptr %x, i64 {k}")
        lines.append(f"  %v{k} = load <16 x float>, ptr %p{k}, align 4")
        lines.append(f"  %w{k} = fmul <16 x float> %v{k}, splat (float {number + 1}.0)")
        lines.append(f"  store <16 x float> %w{k}, ptr %p{k}, align 4")
    return "\n".join([*lines, "  ret void", "}"]) + "\n"


@pytest.fixture
def linker() -> Iterator[Linker]:
    made = Linker(host(), Store(None))
    made._ahead = Ahead(made._new_machine, 2)
    yield made


def keys(linker: Linker, texts: list[str]) -> list[str]:
    return [linker._key(text) for text in texts]


def test_workers_make_the_same_objects(linker: Linker) -> None:
    texts = [module(k) for k in range(12)]
    for key, text in zip(keys(linker, texts), texts):
        linker._ahead.start(key, text)
    linker._ahead._help()  # no worker may have begun yet
    made = [linker._ahead.take(key) for key in keys(linker, texts)]
    assert any(made)
    for number, (image, text) in enumerate(zip(made, texts)):
        assert image in (None, linker.object_file(f"f{number}", text))


def test_link_takes_what_was_compiled(linker: Linker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that a worker has begun is not compiled again."""
    begun = threading.Event()
    compile_ = _Worker.compile

    def noted(self: _Worker, text: bytes) -> bytes | None:
        begun.set()
        return compile_(self, text)

    monkeypatch.setattr(_Worker, "compile", noted)
    with linker.ahead() as begin:
        begin(KernelCode("f0", module(0)))
        begun.wait()
        monkeypatch.setattr(Linker, "_compile", lambda *_: pytest.fail("compiled again"))
        assert linker.link("f0", module(0)).address


def test_what_llvm_refuses_is_told_by_who_links(linker: Linker) -> None:
    text = "define i64 @f() {\n  ret i32 0\n}\n"
    with linker.ahead() as begin:
        begin(KernelCode("f", text))
        with pytest.raises(CompileError, match="LLVM refused the kernel f"):
            linker.link("f", text)


def test_another_llvmlite_compiles_when_it_is_asked(
    linker: Linker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of its calls, so that workers compile nothing."""
    monkeypatch.setattr(ahead, "_BRIEF", (*ahead._BRIEF, "NoSuchCall"))
    monkeypatch.setattr(ahead, "_llvm", ahead._llvm.__wrapped__)
    assert _Worker(linker._new_machine()).compile(module(0).encode()) is None
    with linker.ahead() as begin:
        for k in range(6):
            begin(KernelCode(f"f{k}", module(k)))
        assert all(linker.link(f"f{k}", module(k)).address for k in range(6))


def test_nothing_is_left_of_what_nobody_links(linker: Linker) -> None:
    with linker.ahead() as begin:
        for k in range(6):
            begin(KernelCode(f"f{k}", module(k)))
    assert not linker._ahead._jobs
    assert not linker._ahead._waiting


def test_one_core_has_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    linker = Linker(host(), Store(None))
    with linker.ahead() as begin:
        begin(KernelCode("f0", module(0)))
        assert not linker._ahead._jobs
        assert linker.link("f0", module(0)).address


def test_what_is_on_the_disk_is_not_compiled(tmp_path: Path) -> None:
    Linker(host(), Store(tmp_path)).link("f0", module(0))
    linker = Linker(host(), Store(tmp_path))
    linker._ahead = Ahead(linker._new_machine, 2)
    with linker.ahead() as begin:
        begin(KernelCode("f0", module(0)))
        assert not linker._ahead._jobs


def test_several_threads_ask(linker: Linker) -> None:
    texts = [module(k) for k in range(8)]
    with linker.ahead() as begin:
        for k, text in enumerate(texts):
            begin(KernelCode(f"f{k}", text))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda k: linker.link(f"f{k % 8}", texts[k % 8]), range(32)))
    assert all(found[k] is found[k % 8] for k in range(32))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_goes_on_without_workers(linker: Linker) -> None:
    with linker.ahead() as begin:
        for k in range(8):
            begin(KernelCode(f"f{k}", module(k)))
        child = os.fork()
        if not child:
            made = [linker.link(f"f{k}", module(k)).address for k in range(9)]
            os._exit(0 if all(made) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert all(linker.link(f"f{k}", module(k)).address for k in range(9))
