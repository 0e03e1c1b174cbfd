"""The code in the guide runs and says what the guide says it does.

The ```python blocks of a page are one program; a ```text block is what it has printed since the one
before, then the error where a block ends with one. `...` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "guide").glob("*.md"))


def blocks(path: Path) -> Iterator[tuple[str, int, str]]:
    """The kind of each fenced block, the line before its first, and its text."""
    kind, start, lines = "", 0, list[str]()
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        if line.startswith("```"):
            if kind:
                yield kind, start, "".join(lines)
                kind = ""
            else:
                kind, start, lines = line[3:].strip() or "text", number, []
        elif kind:
            lines.append(line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    space, printed = {"__name__": path.stem}, io.StringIO()
    for kind, start, text in blocks(path):
        if kind == "python":
            code = compile("\n" * start + text, str(path), "exec")
            with contextlib.redirect_stdout(printed):
                try:
                    exec(code, space)
                except Exception as error:
                    print("".join(traceback.format_exception_only(error)), end="")
        elif kind == "text":
            found, printed = printed.getvalue(), io.StringIO()
            assert doctest.OutputChecker().check_output(text, found, doctest.ELLIPSIS), (
                f"{path.name}:{start} says\n{text}\nbut the code above prints\n{found}"
            )
    assert not printed.getvalue(), f"{path.name} does not say what its end prints"


def test_there_are_pages() -> None:
    assert PAGES


def test_the_programs_of_the_readme_print_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    names = re.findall(r"\$ python (\w+\.py)\n", text)
    assert names
    for name in names:
        program = _indented(text, f"Put this in `{name}`:\n\n")
        (tmp_path / name).write_text(program)
        command = [sys.executable, name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == _indented(text, f"    $ python {name}\n"), done.stderr


def _indented(text: str, before: str) -> str:
    """The indented lines that follow `before`."""
    lines = text.partition(before)[2].splitlines()
    block = itertools.takewhile(lambda line: not line or line.startswith("    "), lines)
    return "\n".join(line[4:] for line in block).strip() + "\n"
