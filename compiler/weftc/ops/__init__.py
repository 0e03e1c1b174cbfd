"""The primitives, one record each (weftc.ir.opdef), by family. `TABLE` holds them all by name."""

from weftc.ir.opdef import TABLE, OpDef
from weftc.ops import (
    contraction,
    elementary,
    indexing,
    movement,
    pointwise,
    power,
    reduction,
    source,
)

__all__ = [
    "TABLE",
    "contraction",
    "elementary",
    "get",
    "indexing",
    "movement",
    "pointwise",
    "power",
    "reduction",
    "source",
]


def get(name: str) -> OpDef:
    """The op called `name`; KeyError if there is none."""
    return TABLE[name]
