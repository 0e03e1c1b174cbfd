"""From LLVM IR text to an address: caching, errors, threads and processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import llvmlite.binding
import pytest

from weftrt import knobs
from weftrt.cache import Store
from weftrt.cpu.host import host
from weftrt.cpu.linker import Code, Linker, default, provide
from weftrt.errors import CompileError


def module(symbol: str, value: int) -> str:
    return f"define i64 @{symbol}() {{\n  ret i64 {value}\n}}\n"


def call(code: Code) -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int64)(code.address)())


def refuse(*_: object) -> NoReturn:
    raise AssertionError("compiled again")


def test_link_and_link_again(tmp_path: Path) -> None:
    linker = Linker(host(), Store(tmp_path))
    code = linker.link("f", module("f", 42))
    assert call(code) == 42
    assert linker.link("f", module("f", 42)) is code
    other = linker.link("f", module("f", 43))
    assert (call(code), call(other)) == (42, 43)


def test_objects_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = module("f", 7)
    Linker(host(), Store(tmp_path)).link("f", text)
    monkeypatch.setattr(Linker, "_compile", refuse)
    assert call(Linker(host(), Store(tmp_path)).link("f", text)) == 7
    with pytest.raises(AssertionError, match="compiled again"):
        Linker(host(), Store(tmp_path)).link("f", module("f", 8))


def test_another_target_is_another_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = module("f", 7)
    with knobs.scope(target="x86-64-v3"):
        reduced = host()
    if reduced == host():
        pytest.skip("this CPU cannot be reduced")
    Linker(reduced, Store(tmp_path)).link("f", text)
    monkeypatch.setattr(Linker, "_compile", refuse)
    with pytest.raises(AssertionError, match="compiled again"):
        Linker(host(), Store(tmp_path)).link("f", text)


def test_what_is_named_by_its_source_is_not_even_written(tmp_path: Path) -> None:
    linker = Linker(host(), Store(tmp_path))
    assert call(linker.link_built("f", "source 1", lambda: module("f", 1))) == 1
    assert call(linker.link_built("f", "source 1", refuse)) == 1
    assert call(Linker(host(), Store(tmp_path)).link_built("f", "source 1", refuse)) == 1


def test_a_module_and_what_it_rarely_runs_find_each_other(tmp_path: Path) -> None:
    def often() -> str:
        return (
            "@count = hidden global i64 4\ndeclare hidden i64 @seldom()\n"
            "define hidden i64 @one() {\n  ret i64 1\n}\n"
            "define i64 @f() {\n  %r = call i64 @seldom()\n  ret i64 %r\n}\n"
        )

    def seldom() -> str:
        return (
            "@count = external hidden global i64\ndeclare hidden i64 @one()\n"
            "define hidden i64 @seldom() {\n  %a = call i64 @one()\n"
            "  %b = load i64, ptr @count\n  %r = add i64 %a, %b\n  ret i64 %r\n}\n"
        )

    assert call(Linker(host(), Store(tmp_path)).link_built("f", "source", often, seldom)) == 5
    assert call(Linker(host(), Store(tmp_path)).link_built("f", "source", refuse, refuse)) == 5


def test_a_damaged_object_is_compiled_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = module("f", 9)
    Linker(host(), Store(tmp_path)).link("f", text)
    (path,) = [p for p in tmp_path.glob("??/*") if p.suffix != ".lock"]
    path.write_bytes(path.read_bytes()[:-100])
    assert call(Linker(host(), Store(tmp_path)).link("f", text)) == 9
    assert "damaged" in capsys.readouterr().err
    assert path.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define void @f( {", "expected"),
        ("define i64 @f(i32 %x) { ret i64 %x }", "i64"),
        ("define i64 @f() {\n  %a = add i64 %b, 1\n  %b = add i64 %a, 1\n  ret i64 %a }", ""),
    ],
)
def test_what_llvm_refuses_is_kept(tmp_path: Path, text: str, reason: str) -> None:
    linker = Linker(host(), Store(None))
    with knobs.scope(dump=tmp_path), pytest.raises(CompileError, match="bug in Weft") as caught:
        linker.link("f", text)
    kept = (tmp_path / "f.failed.ll").read_text()
    assert kept.endswith(text) and kept.startswith(";") and reason in kept
    assert str(tmp_path / "f.failed.ll") in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_symbol_that_nobody_provides() -> None:
    text = "declare i64 @nobody()\ndefine i64 @f() {\n  %r = call i64 @nobody()\n  ret i64 %r\n}\n"
    with pytest.raises(CompileError, match="cannot be linked"):
        Linker(host(), Store(None)).link("f", text)


def test_the_runtime_provides_routines() -> None:
    routine = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 1234)
    address = ctypes.cast(routine, ctypes.c_void_p).value
    assert address is not None
    provide("weft_test_routine", address)
    text = (
        "declare i64 @weft_test_routine()\n"
        "define i64 @f() {\n  %r = call i64 @weft_test_routine()\n  ret i64 %r\n}\n"
    )
    assert call(Linker(host(), Store(None)).link("f", text)) == 1234


def test_large_constants_and_frames() -> None:
    """Constant pools are reached by rip, and a LOCAL buffer may take 256 KiB of stack."""
    text = (
        "define double @f() {\n"
        "  %p = alloca [32768 x double], align 64\n"
        "  %q = getelementptr double, ptr %p, i64 32767\n"
        "  store volatile double 0x3FF8000000000000, ptr %q\n"
        "  %v = load volatile double, ptr %q\n"
        "  %r = fadd double %v, 0x4002000000000000\n"
        "  ret double %r\n}\n"
    )
    code = Linker(host(), Store(None)).link("f", text)
    assert ctypes.CFUNCTYPE(ctypes.c_double)(code.address)() == 3.75


def test_threads_link_at_once(tmp_path: Path) -> None:
    linker = Linker(host(), Store(tmp_path))
    texts = [(f"f{k % 5}", module(f"f{k % 5}", k % 5)) for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda item: linker.link(*item), texts))
    assert [call(code) for code in codes] == [k % 5 for k in range(40)]
    assert len(set(codes)) == 5


def test_the_default_linker_follows_the_target() -> None:
    with knobs.scope(target="x86-64-v3"):
        reduced = default()
        assert reduced is default()
    assert (reduced is default()) == (not host().triple.startswith("x86_64"))


def test_assembly_can_be_read() -> None:
    assert "f:" in Linker(host(), Store(None)).assembly(module("f", 1))


CHILD = """
import ctypes, sys
from weftrt.cpu import linker
compiled = []
original = linker.Linker._compile
linker.Linker._compile = lambda self, *a: compiled.append(1) or original(self, *a)
text = "define i64 @f() {\\n  ret i64 42\\n}\\n"
print("ready", flush=True)
sys.stdin.readline()
code = linker.link("f", text)
print(ctypes.CFUNCTYPE(ctypes.c_int64)(code.address)(), len(compiled))
"""


def test_processes_started_together_compile_once(tmp_path: Path) -> None:
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path, "WEFT_CACHE": str(tmp_path)}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    results = [child.communicate()[0].split() for child in children]
    assert [value for value, _ in results] == ["42"] * 3
    assert sum(int(compiled) for _, compiled in results) == 1


def test_llvm_is_not_imported_before_it_is_needed() -> None:
    script = (
        "import sys, weftrt.target, weftrt.knobs, weftrt.cache.programs, weftrt.cpu.linker\n"
        "assert not any(name.startswith('llvmlite') for name in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


INTERRUPTED = """
import sys
import llvmlite.binding
from weftrt.cache import Store
from weftrt.cpu.host import host
from weftrt.cpu.linker import Linker

parse, kept = llvmlite.binding.parse_assembly, []

def interrupted(*args):
    kept.append(parse(*args))
    raise KeyboardInterrupt

llvmlite.binding.parse_assembly = interrupted
text = "define i64 @f() {\\n  ret i64 1\\n}\\n"
linker = Linker(host(), Store(None))
for _ in range(20):
    try:
        linker.link("f", text)
    except KeyboardInterrupt:
        pass
print(*kept)
kept.clear()
llvmlite.binding.parse_assembly = parse
linker.link("f", text)
"""


def test_a_module_that_an_interrupt_left_behind_is_whole() -> None:
    """A traceback holds it; LLVM crashes where a module goes after its context."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ret i64 1") == 20


def test_an_interrupt_waits_until_llvm_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, parsed = llvmlite.binding.parse_assembly, []

    def interrupted(*args: Any) -> Any:
        found = parse(*args)
        signal.raise_signal(signal.SIGINT)
        parsed.append(found)
        return found

    monkeypatch.setattr(llvmlite.binding, "parse_assembly", interrupted)
    linker = Linker(host(), Store(tmp_path))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
    try:
        with pytest.raises(KeyboardInterrupt):
            linker.link("f", module("f", 42))
    finally:
        signal.signal(signal.SIGINT, before)
    assert [found.closed for found in parsed] == [True]
    monkeypatch.undo()
    assert call(linker.link("f", module("f", 42))) == 42
