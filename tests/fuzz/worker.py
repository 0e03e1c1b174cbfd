"""One process of the fuzz: draws programs by number, checks them, shrinks what fails."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.draw import draw_gradients, draw_transforms, draw_values
from tests.fuzz.oracles import Counts, Failure, check
from tests.fuzz.program import Program
from tests.fuzz.shrink import shrink

from weftrt.cpu import threads

KINDS: dict[str, Callable[[int], Program]] = {
    "values": draw_values,
    "gradients": draw_gradients,
    "transforms": draw_transforms,
}
SHRUNKEN = 6
"""Failures of one cause that a process shrinks; of later ones it tells the number only."""


@dataclass(frozen=True)
class Found:
    """A failure, as the process tells it: `group` is what its shrunken program consists of."""

    kind: str
    number: int
    failure: Failure
    program: Program | None = None

    @property
    def group(self) -> str:
        if self.program is None:
            return "not shrunken"
        names = " ".join(i.name for i in self.program.instructions)
        return f"{self.failure.oracle} {self.failure.cause}: {names}"

    def line(self) -> str:
        """One line of JSON."""
        fields = {
            "kind": self.kind,
            "number": self.number,
            "oracle": self.failure.oracle,
            "cause": self.failure.cause,
            "detail": self.failure.detail[:300],
            "group": self.group,
            "script": self.script() if self.program is not None else "",
        }
        return json.dumps({"failure": fields})

    def script(self) -> str:
        """The shrunken program as a script, with what was seen in front."""
        assert self.program is not None
        detail = self.failure.detail.replace("\n", " ")[:300]
        header = f"# {self.kind} {self.number}, {self.failure.oracle}: {detail}\n"
        return header + self.program.script()


def find(kind: str, number: int, counts: Counts, shrinking: bool = True) -> Found | None:
    """Check one program; what fails is shrunken."""
    program = KINDS[kind](number)
    counts.instructions.update(p.name for i in program.instructions for p in i.parts())
    failure = check(program, number, counts)
    if failure is None:
        return None
    if not shrinking:
        return Found(kind, number, failure)
    small = shrink(program, lambda p: _fails_alike(p, number, failure))
    return Found(kind, number, check(small, number, Counts()) or failure, small)


def _fails_alike(program: Program, number: int, failure: Failure) -> bool:
    found = check(program, number, Counts())
    return found is not None and (found.oracle, found.cause) == (failure.oracle, failure.cause)


def run(kind: str, first: int, count: int, status: Path) -> None:
    """Check `count` programs from number `first` on. `status` always holds the one being run, for
    whoever finds this process dead; results go to standard output, one JSON object a line."""
    threads.set_threads(1)
    counts, shrunken = Counts(), Counter[tuple[str, str]]()
    place = os.open(status, os.O_WRONLY | os.O_CREAT)
    for number in range(first, first + count):
        os.pwrite(place, b"%20d" % number, 0)
        found = find(kind, number, counts, shrinking=False)
        if found is not None:
            cause = (found.failure.oracle, found.failure.cause)
            if shrunken[cause] < SHRUNKEN:
                shrunken[cause] += 1
                found = find(kind, number, Counts()) or found
            print(found.line(), flush=True)
        if number % 50 == 49 or number == first + count - 1:
            _report(counts)
            counts = Counts()


def _report(counts: Counts) -> None:
    fields: dict[str, Any] = {k: dict(v) for k, v in vars(counts).items()}
    print(json.dumps({"counts": fields}), flush=True)


def run_pickled(path: Path, number: int) -> None:
    """Check one program from a file, for shrinking what kills its process."""
    check(pickle.loads(path.read_bytes()), number, Counts())


if __name__ == "__main__":
    if sys.argv[1] == "pickled":
        run_pickled(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
