"""Environment variables: typed, explained, overridable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from weftrt import knobs
from weftrt.cpu import host as detection
from weftrt.cpu.host import host
from weftrt.errors import UsageError


def test_values_are_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_THREADS", "3")
    assert knobs.threads() == 3
    monkeypatch.setenv("WEFT_THREADS", "")
    assert knobs.threads() >= 1
    monkeypatch.setenv("WEFT_CACHE", "~/somewhere")
    assert knobs.cache() == Path.home() / "somewhere"
    for off in ("off", "OFF", "0"):
        monkeypatch.setenv("WEFT_CACHE", off)
        monkeypatch.setenv("WEFT_DUMP", off)
        assert knobs.cache() is None and knobs.dump() is None
    monkeypatch.delenv("WEFT_CACHE")
    default = knobs.cache()
    assert default is not None and default.name == "weft"
    monkeypatch.setenv("WEFT_LOG", "compile, guards")
    assert knobs.log() == {"compile", "guards"}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("WEFT_THREADS", "0"),
        ("WEFT_THREADS", "many"),
        ("WEFT_VERIFY", "3"),
        ("WEFT_LOG", "everything"),
        ("WEFT_TARGET", "486"),
        ("WEFT_CACHE_MB", "-1"),
        ("WEFT_CACHE", "~nobody-of-this-name/cache"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    (knob,) = [k for k in knobs.ALL if k.variable == variable]
    monkeypatch.setenv(variable, text)
    with pytest.raises(UsageError) as caught:
        knob()
    message = str(caught.value)
    assert variable in message and repr(text) in message and knob.expected in message


def test_paths_are_relative_to_where_the_process_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start = Path.cwd()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEFT_CACHE", "here/cache")
    assert knobs.cache() == start / "here" / "cache"


def test_scopes_nest_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_THREADS", "4")
    with knobs.scope(threads=1, verify=2):
        assert (knobs.threads(), knobs.verify()) == (1, 2)
        with knobs.scope(threads=2):
            assert (knobs.threads(), knobs.verify()) == (2, 2)
        assert knobs.threads() == 1
    assert knobs.threads() == 4
    with pytest.raises(UsageError, match="theads"), knobs.scope(theads=1):
        pass


def test_every_knob_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_VERIFY", "1")
    text = knobs.describe()
    assert all(knob.variable in text for knob in knobs.ALL)
    assert "WEFT_VERIFY = 1" in text
    names = [knob.name for knob in knobs.ALL]
    assert len(set(names)) == len(names)
    assert all(getattr(knobs, name).name == name for name in names)


def test_the_target_can_be_reduced() -> None:
    native = host()
    assert native.vector_bits in (128, 256, 512)
    with knobs.scope(target="x86-64-v3"):
        reduced = host()
    if native.triple.startswith("x86_64"):
        assert reduced.vector_bits == 256
        assert reduced.has("fma") and not reduced.has("avx512f")
        assert set(reduced.features) <= set(native.features)
    else:
        assert reduced == native


@pytest.mark.parametrize(
    ("triple", "features", "message"),
    [
        ("x86_64-unknown-linux-gnu", {"avx": True, "avx2": False}, "lacks avx2, bmi"),
        ("riscv64-unknown-linux-gnu", {}, "no CPU backend for riscv64"),
    ],
)
def test_machines_weft_does_not_run_on(
    monkeypatch: pytest.MonkeyPatch, triple: str, features: dict[str, bool], message: str
) -> None:
    import llvmlite.binding as llvm

    monkeypatch.setattr(llvm, "get_process_triple", lambda: triple)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
    with pytest.raises(RuntimeError, match=message):
        detection._detect.__wrapped__()


def test_a_bad_value_is_told_before_anything_is_loaded() -> None:
    code = "import weft as wf\ntry: wf.ones\nexcept Exception as e: print(type(e).__name__, e)"
    environment = {**os.environ, "WEFT_THREADS": "many", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "UsageError WEFT_THREADS is an integer from 1 to 1024, not 'many'\n"


def test_the_topics_of_the_log_are_explained() -> None:
    assert all(f"{topic} (" in knobs.log.help for topic in knobs.LOG_TOPICS)
