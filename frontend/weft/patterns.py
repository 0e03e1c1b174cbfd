"""What calls look like to the native guard: kinds of leaves, signatures, recipes of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft import tree
from weft.calls import Call, Leaf, Number, Static, parts_of
from weft.tracing import SCALAR_DTYPES, Range, known_dtype
from weft.tree import Structure
from weftrt import signature as signatures
from weftrt.array import Array
from weftrt.program import ArraySpec
from weftrt.signature import Pattern
from weftrt.size_expressions import SizeSlot

NATIVE_DEPTH = 32
"""Trees of more branches one in another are left to Python: native code would need much stack."""


def obstacle(call: Structure, result: Structure) -> str | None:
    """Why the native callable cannot run such calls; None where it can."""
    if max(call.depth(), result.depth()) > NATIVE_DEPTH:
        return f"its arguments or results are nested more than {NATIVE_DEPTH} deep"
    return None


@dataclass(frozen=True)
class LeafSpec:
    """What one leaf of a call must be: an array of a spec, an Array unless it may be `foreign`; or
    a Python scalar of a type, integers from range[0] to range[1]."""

    array: ArraySpec | None
    scalar: type | None
    range: Range
    foreign: bool = True

    def fits(self, leaf: Leaf, sizes: dict[int, int]) -> bool:
        """Whether `leaf` is of this kind; binds size slots in `sizes`."""
        if self.array is None:
            return type(leaf) is self.scalar and self._holds(leaf)
        shapes = zip(self.array.shape, getattr(leaf, "shape", ()))
        return self.is_alike(leaf) and all(_binds(own, size, sizes) for own, size in shapes)

    def is_alike(self, leaf: Leaf) -> bool:
        """Whether `leaf` is of this kind but for the value of sizes."""
        if self.array is None or not isinstance(leaf, (Array, np.ndarray)):
            return type(leaf) is self.scalar
        rank = len(self.array.shape)
        return len(leaf.shape) == rank and known_dtype(leaf) is self.array.dtype

    def _holds(self, leaf: Leaf) -> bool:
        return type(leaf) is not int or self.range[0] <= leaf <= self.range[1]

    @property
    def pattern(self) -> Pattern:
        """The same for the native guard."""
        if self.array is not None:
            return signatures.ArrayPattern(self.array, self.foreign)
        assert self.scalar is not None
        return signatures.ScalarPattern(self.scalar, *self.range)


def _binds(size: int | SizeSlot, actual: int, sizes: dict[int, int]) -> bool:
    if not isinstance(size, SizeSlot):
        return size == actual
    return sizes.setdefault(size.index, actual) == actual


def leaf_specs(
    leaves: Sequence[Leaf],
    inputs: Sequence[ArraySpec],
    ranges: Sequence[Range],
    donated: Sequence[int] = (),
) -> tuple[LeafSpec, ...]:
    """What calls that run the same program look like, leaf by leaf."""
    return tuple(
        LeafSpec(None, type(leaf), span)
        if type(leaf) in SCALAR_DTYPES
        else LeafSpec(spec, None, span, foreign=number not in donated)
        for number, (leaf, spec, span) in enumerate(zip(leaves, inputs, ranges))
    )


def signature(call: Call, specs: Sequence[LeafSpec], guards: Sequence[Any]) -> signatures.Signature:
    """The native guard's description of calls like `call`."""
    rest = iter(specs)
    positional, keywords = call.structure.children
    return signatures.Signature(
        tuple(_pattern(part, rest) for part in positional.children),
        tuple((k, _pattern(p, rest)) for k, p in zip(keywords.keys, keywords.children)),
        tuple(guards),
    )


def _pattern(structure: Structure, specs: Iterator[LeafSpec]) -> Pattern:
    kind = structure.kind
    if kind is None:
        return next(specs).pattern
    if kind is Static:
        return signatures.StaticPattern(structure.extra.value, structure.extra.frozen)
    if kind is type(None):
        return signatures.StaticPattern(None)
    items = tuple(_pattern(child, specs) for child in structure.children)
    if kind is dict:
        return signatures.DictPattern(structure.keys, items)
    if kind is tuple:
        return signatures.TuplePattern(items)
    if kind is list:
        return signatures.ListPattern(items)
    if issubclass(kind, tuple) and tree.rules_of(kind).flatten is None:
        return signatures.NamedTuplePattern(kind, items)
    if kind is Number:
        return signatures.RegisteredPattern(complex, parts_of, items, None)
    flatten = tree.rules_of(kind).flatten
    if flatten is None:
        return signatures.ObjectPattern(kind, structure.keys, items)
    return signatures.RegisteredPattern(kind, flatten, items, structure.extra)


def output_tree(structure: Structure, indices: Sequence[int]) -> signatures.OutputTree:
    """The native recipe of a result."""
    return _output(structure, iter(indices))


def _output(structure: Structure, indices: Iterator[int]) -> signatures.OutputTree:
    kind = structure.kind
    if kind is None:
        return signatures.ArrayOutput(next(indices))
    if kind is type(None):
        return signatures.ConstantOutput(None)
    items = tuple(_output(child, indices) for child in structure.children)
    if kind is dict:
        return signatures.DictOutput(structure.keys, items)
    if kind is tuple:
        return signatures.TupleOutput(items)
    if kind is list:
        return signatures.ListOutput(items)
    unflatten = tree.rules_of(kind).unflatten
    if unflatten is not None:
        return signatures.RegisteredOutput(unflatten, structure.extra, items)
    if issubclass(kind, tuple):
        return signatures.NamedTupleOutput(kind, items)
    return signatures.ObjectOutput(kind, structure.keys, items)
