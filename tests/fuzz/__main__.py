"""`python -m tests.fuzz --minutes 10 --seed 1`: random programs against every oracle."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.oracles import Counts, Failure
from tests.fuzz.program import Program
from tests.fuzz.shrink import shrink
from tests.fuzz.worker import KINDS, Found, find

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"native": "native", "avx512": "native", "avx2": "x86-64-v3"}
BATCH = {"values": 1000, "gradients": 200, "transforms": 200}
"""Programs a process runs before the next takes over: it keeps what it has compiled."""
PER_SEED = 10_000_000
PATIENCE = 180.0
"""Seconds after which a program that has not ended is taken to hang."""


@dataclass(frozen=True)
class Batch:
    kind: str
    target: str
    first: int
    count: int


@dataclass
class Session:
    """What one run of the command has found so far."""

    options: argparse.Namespace
    started: float = field(default_factory=time.monotonic)
    counts: dict[tuple[str, str], Counts] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def over(self) -> bool:
        minutes = (time.monotonic() - self.started) / 60
        return minutes > self.options.minutes

    def programs(self, kind: str = "") -> int:
        """How many programs have run."""
        parts = [c for (k, _), c in self.counts.items() if kind in (k, "")]
        failed = sum(f["oracle"] == "compiled" for f in self.failures if kind in (f["kind"], ""))
        return sum(c.checked["compiled"] for c in parts) + failed

    def batches(self) -> Iterator[Batch]:
        """Work without end: five programs to one gradient, targets in turn."""
        kinds, targets = self.options.kinds.split(","), self.options.target.split(",")
        left = dict.fromkeys(kinds, self.options.count)
        for number in itertools.count():
            for kind in kinds:
                size = min(BATCH[kind], left[kind])
                if size > 0:
                    first = self.options.seed * PER_SEED + number * BATCH[kind]
                    yield Batch(kind, targets[number % len(targets)], first, size)
                    left[kind] -= size
            if not any(left.values()):
                return

    def take(self, line: str, batch: Batch) -> None:
        """One line of a worker."""
        message = json.loads(line)
        with self.lock:
            if "failure" in message:
                self._fail(message["failure"] | {"target": batch.target})
            else:
                counters = {k: Counter(v) for k, v in message["counts"].items()}
                total = self.counts.setdefault((batch.kind, batch.target), Counts())
                total.add(Counts(**counters))

    def _fail(self, failure: dict[str, Any]) -> None:
        new = all(f["group"] != failure["group"] for f in self.failures)
        self.failures.append(failure)
        if not failure["script"]:
            return
        folder = Path(self.options.failures)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{failure['kind']}_{failure['number']}.py").write_text(failure["script"])
        if new:
            print(f"\n{failure['script']}", flush=True)


def _environment(options: argparse.Namespace, target: str) -> dict[str, str]:
    paths = [str(ROOT / p) for p in ("frontend", "compiler", "runtime", ".")]
    given = os.environ | {
        "WEFT_CACHE": "off",
        "WEFT_TARGET": TARGETS[target],
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return given | ({"WEFT_CHECK_MEMORY": "1"} if options.check_memory else {})


def _run(session: Session, batch: Batch) -> None:
    """One batch in a process of its own; after a crash the rest goes to another process."""
    with tempfile.TemporaryDirectory() as folder:
        status = Path(folder) / "number"
        while batch.count > 0 and not session.over:
            code, said = _worker(session, batch, status)
            if code == 0 or session.over:
                return
            number = int(status.read_text()) if status.exists() else batch.first
            _report_crash(session, batch, number, f"exit {code}: {said}")
            done = number + 1 - batch.first
            batch = Batch(batch.kind, batch.target, number + 1, batch.count - done)


def _worker(session: Session, batch: Batch, status: Path) -> tuple[int, str]:
    """Runs a batch; the exit status and the last line of standard error."""
    command = [sys.executable, "-m", "tests.fuzz.worker", batch.kind]
    command += [str(batch.first), str(batch.count), str(status)]
    with tempfile.TemporaryFile(mode="w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=_environment(session.options, batch.target),
        )
        _listen(session, batch, process, status)
        errors.seek(0)
        said = errors.read().strip().splitlines()[-1:]
    return process.wait(), "".join(said)[:200]


def _listen(session: Session, batch: Batch, process: subprocess.Popen[str], status: Path) -> None:
    """Takes what a worker tells until it ends."""
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(session, process, status, ended), daemon=True)
    watch.start()
    assert process.stdout is not None
    for line in process.stdout:
        session.take(line, batch)
    ended.set()


def _watch(
    session: Session, process: subprocess.Popen[str], status: Path, ended: threading.Event
) -> None:
    """Ends a worker whose program hangs, or when time is up."""
    last, since = "", time.monotonic()
    while not ended.wait(1.0):
        now = status.read_text() if status.exists() else ""
        if now != last:
            last, since = now, time.monotonic()
        if session.over or time.monotonic() - since > PATIENCE:
            process.kill()


def _report_crash(session: Session, batch: Batch, number: int, ending: str) -> None:
    program = KINDS[batch.kind](number)
    environment = _environment(session.options, batch.target)
    small = shrink(program, lambda p: _crashes(p, number, environment), seconds=90)
    failure = Failure("process", ending, f"the process ended: {ending}")
    session.take(Found(batch.kind, number, failure, small).line(), batch)


def _crashes(program: Program, number: int, environment: dict[str, str]) -> bool:
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps(program))
        file.flush()
        command = [sys.executable, "-m", "tests.fuzz.worker", "pickled", file.name, str(number)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return True
        return done.returncode != 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--count", type=int, default=10**9, help="programs of each kind")
    parser.add_argument("--seed", type=int, default=0, help="numbers start at seed * 10**7")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--kinds", default="values,gradients")
    parser.add_argument("--target", default="native", help="native, avx2, avx512, or several")
    parser.add_argument("--check-memory", action="store_true", help="WEFT_CHECK_MEMORY=1")
    parser.add_argument("--failures", default="fuzz-failures", help="where scripts are written")
    parser.add_argument("--replay", type=int, help="check one program by number, and shrink it")
    return parser.parse_args()


def _replay(kind: str, number: int) -> int:
    print(KINDS[kind](number).script())
    found = find(kind, number, Counts())
    if found is None:
        print(f"# {kind} {number} runs clean")
        return 0
    print(f"\n# shrunken:\n{found.script()}")
    return 1


def _progress(session: Session) -> None:
    minutes = (time.monotonic() - session.started) / 60
    kinds = ", ".join(f"{session.programs(k)} {k}" for k in session.options.kinds.split(","))
    print(f"{minutes:6.1f} min: {kinds}, {len(session.failures)} failed", flush=True)


def _summary(session: Session) -> None:
    print()
    for (kind, target), counts in sorted(session.counts.items()):
        asked = ", ".join(f"{n} {name}" for name, n in counts.checked.items())
        print(f"{kind} on {target}: {asked}")
        for what, number in sorted(counts.transforms.items()):
            print(f"    {number} of transforms: {what}")
        for reason, number in sorted(counts.skipped.items()):
            print(f"    {number} skipped: {reason}")
    groups = Counter(f["group"] for f in session.failures)
    for group, number in groups.most_common():
        first = next(f for f in session.failures if f["group"] == group)
        print(f"FAILED {number}x {group}")
        print(
            f"    {first['kind']} {first['number']} on {first['target']}: {first['detail'][:150]}"
        )
    print(f"{len(session.failures)} failures in {session.programs()} programs")


def main() -> int:
    """Run until the minutes or the count are over; 1 if anything failed."""
    options = _parsed()
    if options.replay is not None:
        return _replay(options.kinds.split(",")[0], options.replay)
    session = Session(options)
    batches, lock = session.batches(), threading.Lock()

    def work() -> None:
        while not session.over:
            with lock:
                batch = next(batches, None)
            if batch is None:
                return
            _run(session, batch)

    workers = [threading.Thread(target=work) for _ in range(options.jobs)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        workers[0].join(10) if workers[0].is_alive() else time.sleep(1)
        _progress(session)
    _summary(session)
    return 1 if session.failures else 0


if __name__ == "__main__":
    sys.exit(main())
