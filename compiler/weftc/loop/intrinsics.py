"""The intrinsics a `Call` may name: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from weftc.loop.ir import BOOL, INDEX, LoopType


@dataclass(frozen=True)
class Intrinsic:
    """Operand types, and whether a buffer is named. All operands are scalars: the widening pass
    folds lanes into one call."""

    name: str
    operands: tuple[LoopType, ...]
    buffer: bool
    hint: bool
    """May be dropped."""


INTRINSICS: dict[str, Intrinsic] = {
    row.name: row
    for row in (
        Intrinsic("report", (BOOL, INDEX, INDEX), buffer=False, hint=False),
        Intrinsic("prefetch", (INDEX,), buffer=True, hint=True),
    )
}
