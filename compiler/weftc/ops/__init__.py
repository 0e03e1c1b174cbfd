"""The primitives, one record each (weftc.ir.opdef), by family. `TABLE` holds them all by name."""

from weftc.ir.opdef import TABLE, OpDef
from weftc.ops import (
    calls,
    contraction,
    control,
    cumulative,
    effects,
    eigenvalues,
    elementary,
    factorizations,
    fourier,
    indexing,
    least_squares,
    loops,
    movement,
    parts,
    pointwise,
    power,
    recomputation,
    reduction,
    sorting,
    source,
    spectra,
    structure,
    systems,
    windows,
)

__all__ = [
    "TABLE",
    "calls",
    "contraction",
    "control",
    "cumulative",
    "effects",
    "eigenvalues",
    "elementary",
    "factorizations",
    "fourier",
    "get",
    "indexing",
    "least_squares",
    "loops",
    "movement",
    "parts",
    "pointwise",
    "power",
    "recomputation",
    "reduction",
    "sorting",
    "source",
    "spectra",
    "structure",
    "systems",
    "windows",
]


def get(name: str) -> OpDef:
    """The op called `name`; KeyError if there is none."""
    return TABLE[name]
