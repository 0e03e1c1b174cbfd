"""Other sizes for a program that was compiled for any: arguments that what it takes for granted
allows, with the elements of those that it was drawn with."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from weft.records import Kind
from weftc.ir.constraints import holds
from weftc.ir.sizes import concrete_shape
from weftc.ir.types import TensorType

SIZES = (0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33)


def others(kind: Kind, arguments: Sequence[Any], seed: int, most: int = 2) -> Iterator[list[Any]]:
    """Up to `most` lists of arguments like these, of other sizes."""
    rng = random.Random(seed)
    found = 0
    for _ in range(20 if kind.symbols else 0):
        sizes = {name: rng.choice(SIZES) for name in kind.symbols}
        if found < most and all(holds(c, sizes) for c in kind.constraints):
            found += 1
            yield [_like(a, type_, sizes) for a, type_ in zip(arguments, kind.types, strict=True)]


def _like(argument: Any, type_: str | TensorType, sizes: dict[str, int]) -> Any:
    if not isinstance(type_, TensorType):
        return argument
    shape = concrete_shape(type_.shape, sizes)
    return np.resize(argument, shape).astype(argument.dtype)
