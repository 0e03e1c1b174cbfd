"""Contestants in processes of their own, one a library: with several threads, the pools of several
libraries in one process spin against one another. They still take turns, round by round.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import suites
from benchmarks.measure import Contestant, Here, Unable, here
from benchmarks.records import Case, Size


class Worker:
    """A process that makes the cases of any suite and runs contestants for somebody else."""

    def __init__(self, size: Size) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share loaded libraries
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, size), daemon=True)
        self._process.start()
        other.close()  # so that the process's end is the end of the connection

    def ask(self, *request: Any) -> Any:
        """What the process answers. Unable: it cannot, or it died."""
        try:
            self._connection.send(request)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise Unable("its process died") from error
        if isinstance(answer, Unable):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(5)
        self._process.terminate()


class There:
    """A contestant in a worker's process."""

    def __init__(self, worker: Worker, suite: str, index: int, name: str) -> None:
        self._worker, self._place, self._name = worker, (suite, index), name

    def prepare(self) -> None:
        """Compile and check. Unable: why not."""
        self._worker.ask("prepare", *self._place, self._name)

    def run(self, repeats: int) -> float:
        """Seconds a run, over so many runs; or the figure that one run gives."""
        found: float = self._worker.ask("run", self._name, repeats)
        return found


class Workers:
    """The processes of a run, by library."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._workers: dict[str, Worker] = {}

    def contestants(self, suite: str, index: int, case: Case) -> dict[str, Contestant]:
        """Those of the case of that index."""
        return {name: There(self._of(name), suite, index, name) for name in case.makers}

    def _of(self, name: str) -> Worker:
        """torch and torch.compile are one library, as are the ways of Weft."""
        library = name.replace(".", " ").split()[0]
        if library not in self._workers:
            self._workers[library] = Worker(self._size)
        return self._workers[library]

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.close()


@contextmanager
def workers(size: Size) -> Iterator[Workers]:
    """The processes of a run, ended at its end."""
    made = Workers(size)
    try:
        yield made
    finally:
        made.close()


def _serve(connection: Connection, size: Size) -> None:
    """Answer requests until the other end closes."""
    place = Place(size)
    while True:
        try:
            kind, *arguments = connection.recv()
        except EOFError:
            return
        try:
            answer: Any = getattr(place, kind)(*arguments)
        except Unable as error:
            answer = error
        connection.send(answer)


class Place:
    """Where a worker is in a suite."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._at = ("", -1)
        self._cases: Iterator[Case] = iter(())
        self._here: dict[str, Here] = {}

    def prepare(self, suite: str, index: int, name: str) -> None:
        """Compile and check a contestant of a case, which is none of the past."""
        if suite != self._at[0]:
            self._at, self._cases = (suite, -1), suites.cases(suite, self._size)
        while self._at[1] < index:
            self._here = {}
            self._here, self._at = here(next(self._cases)), (suite, self._at[1] + 1)
        self._here[name].prepare()

    def run(self, name: str, repeats: int) -> float:
        """Seconds a run of a contestant, or its figure."""
        return self._here[name].run(repeats)
