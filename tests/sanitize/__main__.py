"""`make sanitize`: kernels and the native runtime under clang's sanitizers, where it is installed.

The emitted LLVM IR of a sample of every family of kernels, and of the whole native runtime (guard,
executor, pool, threads), is compiled with AddressSanitizer, then with ThreadSanitizer, and run. A
planted fault shows first that the sanitizer works.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

from tests.sanitize.clang import RUNTIMES, find_clang, runtime

FOUND = 66
OPTIONS = f"exitcode={FOUND}:halt_on_error=1:detect_leaks=0"


def run(clang: str, sanitizer: str, *fault: str) -> tuple[int, str]:
    """The exit status of a child, and what it printed."""
    command = [sys.executable, "-m", "tests.sanitize.child", sanitizer, clang, *fault]
    variables = {f"{name.upper()}_OPTIONS": OPTIONS for name in RUNTIMES.values()}
    variables |= {"LD_PRELOAD": str(runtime(clang, sanitizer)), "PYTHONMALLOC": "malloc"}
    done = subprocess.run(
        command,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def missing() -> str | None:
    """Why nothing can be sanitized here, None if all can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "it needs Linux on x86-64"
    clang = find_clang()
    if clang is None:
        return "it needs clang 16 or newer (apt-get install clang-19)"
    absent = [path.name for path in (runtime(clang, s) for s in RUNTIMES) if not path.is_absolute()]
    return f"{clang} comes without {' and '.join(absent)}" if absent else None


def check(clang: str, sanitizer: str) -> bool:
    """Whether the sanitizer reports a planted fault, and nothing else."""
    status, text = run(clang, sanitizer, "fault")
    if status != FOUND:
        print(f"{sanitizer}: the planted fault is not reported (status {status})\n{text}")
        return False
    status, text = run(clang, sanitizer)
    print(f"{sanitizer}: {text.strip()}{'' if status == 0 else f' (status {status})'}")
    return status == 0


def main() -> int:
    reason = missing()
    if reason is not None:
        print(f"sanitize: skipped: {reason}")
        return 0
    clang = find_clang()
    assert clang is not None
    clean = [check(clang, sanitizer) for sanitizer in RUNTIMES]  # all of them
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
