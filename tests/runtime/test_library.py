"""The native runtime is compiled on another thread where it is not at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import threading
from weftrt.cpu.native import library
library.begin()
print(any(thread.name == "weft compiles" for thread in threading.enumerate()))
import weft as wf
assert list(map(float, wf.ones((3,)) + 1)) == [2, 2, 2]
"""


def _begins(cache: str, temporary: Path) -> bool:
    environment = os.environ | {"WEFT_CACHE": cache, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout == "True\n"


def test_only_where_it_is_not_at_hand(tmp_path: Path) -> None:
    assert _begins("off", tmp_path)
    assert not _begins("off", tmp_path)  # kept in the temporary folder
