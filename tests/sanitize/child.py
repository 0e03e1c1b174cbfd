"""A process whose native code is sanitized: `child SANITIZER CLANG [fault]`."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import pytest
from tests.sanitize.clang import SanitizedCode

from weftrt import knobs


def main(sanitizer: str, clang: str, *fault: str) -> None:
    """Run the sample, or with `fault` a kernel that has one, which is to be reported."""
    with (
        tempfile.TemporaryDirectory() as folder,
        knobs.scope(cache=None, threads=3),
        pytest.MonkeyPatch.context() as patch,
    ):
        code = SanitizedCode(clang, sanitizer, Path(folder))
        code.install(patch)  # before anything loads the native runtime
        sample = importlib.import_module("tests.sanitize.sample")
        if fault:
            sample.run_fault(sanitizer)
        else:
            sample.run_sample()
        print(f"{len(code.codes)} modules ran clean")


if __name__ == "__main__":
    main(*sys.argv[1:])
