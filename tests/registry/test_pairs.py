"""Every op takes complex numbers, and then means what NumPy says, or refuses them in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.registry.cases import ON_ARRAYS, drawn

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph
from weftc.ir.opdef import Attrs, Family, OpDef
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.transforms.pairs import as_real, as_stored, from_stored, has_complex
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

Sample = tuple[tuple[TensorType, ...], Attrs]

BY_NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sign": lambda z: z / np.abs(z),
    "eq": np.equal,
    "ne": np.not_equal,
    "pow": np.power,
    "identity": np.array,
    "stop_gradient": np.array,
    **{
        name: getattr(np, name)
        for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
}
"""What pointwise ops are; other ops are their reference on NumPy's complex numbers, or by parts."""
BY_PARTS = frozenset({Family.MOVEMENT, Family.INDEXING})


def complex_types(types: tuple[Any, ...]) -> tuple[Any, ...]:
    changed = {dtypes.float64: dtypes.complex128}
    return tuple(t.with_dtype(changed.get(t.dtype, t.dtype)) for t in types)


def samples(op: OpDef) -> Iterator[Sample]:
    """What the op might be given."""
    if op.family is Family.POINTWISE and op.samples is None:
        for count in (1, 2, 3):
            yield (TensorType(dtypes.complex128, (2, 5)),) * count, {}
        return
    for types, attrs in op.samples() if op.samples else ():
        if any(t.dtype is dtypes.float64 for t in types):
            yield complex_types(types), attrs


def accepted(op: OpDef) -> list[Sample]:
    """The samples that the type rule takes; those that it does not are refused in words."""
    found = []
    for types, attrs in samples(op):
        try:
            op.infer(types, attrs)
        except DTypeError as error:
            assert "complex" in str(error), error
        except ShapeError:
            pass  # another number of operands
        else:
            found.append((types, attrs))
    return found


TAKING = [op for op in ON_ARRAYS if accepted(op)]


def test_these_take_complex_numbers() -> None:
    names = {op.name for op in TAKING}
    assert names >= BY_NUMPY.keys() | {"where", "convert", "sum", "prod", "contract", "take"}
    assert not names & {"lt", "maximum", "max", "floor", "erf", "fma", "remainder"}
    assert {op.name for op in TAKING if op.family is Family.POINTWISE} == {
        op.name for op in ON_ARRAYS if op.family is Family.POINTWISE and op.pairs is not None
    }


@pytest.mark.parametrize("op", TAKING, ids=lambda op: op.name)
def test_real_arithmetic_means_the_complex_one(op: OpDef) -> None:
    random = np.random.default_rng(3)
    for types, attrs in accepted(op):
        arrays = ordinary(drawn(op, types, attrs, random))
        inputs = tuple(build.argument(i, f"x{i}", type_) for i, type_ in enumerate(types))
        node = op(*inputs, **attrs)
        graph = as_real(Graph("pairs", inputs, (node,)))
        assert not has_complex(graph.all_nodes())
        (stored,) = interpret(graph, list(map(as_stored, arrays)))
        found = from_stored(stored, node.type.dtype)
        assert (found.dtype, found.shape) == (node.type.dtype.dtype, node.type.shape)
        if op.family in BY_PARTS:
            for part in (np.real, np.imag):
                parts = [part(a) if a.dtype.kind == "c" else a for a in arrays]
                wanted = op.reference(parts, attrs, node.type.with_dtype(dtypes.float64))
                assert_same_bits(np.array(part(found), order="C"), np.asarray(wanted))
        else:
            np.testing.assert_allclose(found, by_numpy(op, arrays, attrs), rtol=1e-13, atol=1e-13)


def ordinary(arrays: list[Any]) -> list[Any]:
    """Finite complex numbers of ordinary sizes."""
    random = np.random.default_rng(4)
    return [
        np.array(random.standard_normal(a.shape) + 1j * random.standard_normal(a.shape))
        if a.dtype.kind == "c"
        else a
        for a in arrays
    ]


def by_numpy(op: OpDef, arrays: list[Any], attrs: Attrs) -> Any:
    if op.name in BY_NUMPY:
        return BY_NUMPY[op.name](*arrays)
    if op.name == "where":
        return np.where(*arrays)
    if op.name == "convert":
        return arrays[0].astype(attrs["dtype"].dtype)
    if op.family is Family.REDUCTION:
        return getattr(np, op.name)(arrays[0], axis=attrs["axes"])
    if op.name == "cumulate":
        flipped = np.flip(arrays[0], attrs["axis"]) if attrs["reverse"] else arrays[0]
        found = getattr(np, f"cum{attrs['kind']}")(flipped, axis=attrs["axis"])
        return np.flip(found, attrs["axis"]) if attrs["reverse"] else found
    assert op.name == "contract"
    return contracted(*arrays, attrs)


def contracted(a: Any, b: Any, attrs: Attrs) -> Any:
    """The contraction by einsum."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left, right = ([""] * x.ndim for x in (a, b))
    result = []
    for name in ("batch", "contracted"):
        for i, j in zip(*attrs[name], strict=True):
            left[i] = right[j] = next(letters)
            result += [left[i]] * (name == "batch")
    for names in (left, right):
        for axis, name in enumerate(names):
            if not name:
                names[axis] = next(letters)
                result.append(names[axis])
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(result)}", a, b)
