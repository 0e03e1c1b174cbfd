"""What is sanitized is all that is written: `python -m tests.sanitize` runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.sanitize import clang
from tests.sanitize.clang import SanitizedCode
from tests.sanitize.sample import FAULTS

from weftrt.cpu.host import host
from weftrt.cpu.native import library


@pytest.mark.parametrize("name", ["runtime", *FAULTS])
def test_every_function_has_the_attribute(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clang.subprocess, "run", lambda *_, **__: None)
    text = FAULTS.get(name) or library.written_text(host().triple, "table")
    SanitizedCode("clang", "address", tmp_path)._compile(text, tmp_path / "0.so")
    defined = re.findall(r"(?m)^define .*$", (tmp_path / "0.ll").read_text())
    written = re.findall(r"(?m)^define .*$", text)
    marked = [line for line in defined if line.endswith(" sanitize_address {")]
    assert len(marked) == len(written) > 0
    bound = any("@weft_parallel(" in line for line in defined) and name != "runtime"
    assert bound == (name == "thread")
