"""Where in the user's code a node came from: kept raw, resolved to text only when shown."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import CodeType

from weftc.ir.tracing_state import state


@dataclass(frozen=True)
class Location:
    """A code object and an instruction offset in it (two loads to take, unlike a stack summary)."""

    code: CodeType
    instruction: int

    def resolve(self) -> tuple[str, int, str]:
        """(file, line, expression) with the expression's source text, or the whole line."""
        positions = next(islice(self.code.co_positions(), self.instruction // 2, None), None)
        line, end_line, column, end_column = positions or (None,) * 4
        line = line or self.code.co_firstlineno
        text = linecache.getline(self.code.co_filename, line)
        if end_line == line and column is not None and end_column is not None:
            text = text.encode()[column:end_column].decode(errors="replace")
        return self.code.co_filename, line, text.strip()

    def span(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Where its source begins and ends, (line, column) each, if the code object knows."""
        positions = next(islice(self.code.co_positions(), self.instruction // 2, None), None)
        line, end_line, column, end_column = positions or (None,) * 4
        if line is None or end_line is None or column is None or end_column is None:
            return None
        return (line, column), (end_line, end_column)

    def __str__(self) -> str:
        return self.text(self.code.co_filename)

    def text(self, file: str) -> str:
        """str, with another name for the file."""
        _, line, text = self.resolve()
        return f"{file}:{line}: {text}" if text else f"{file}:{line}"


def current() -> Location | None:
    """The location that a node made now belongs to."""
    return state.provider() if state.provider else None


@contextmanager
def provided_by(provider: Callable[[], Location | None]) -> Iterator[None]:
    """While open, new nodes ask `provider` where they come from."""
    before, state.provider = state.provider, provider
    try:
        yield
    finally:
        state.provider = before


@contextmanager
def at(location: Location | None) -> Iterator[None]:
    """While open, new nodes belong to `location` (a gradient belongs to the primal's line)."""
    with provided_by(lambda: location):
        yield
