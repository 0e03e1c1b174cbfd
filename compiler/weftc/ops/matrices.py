"""What ops of matrices share: LAPACK is called once for each matrix of a stack.

Matrices are the last two axes; what comes before them are as many matrices. The routines are those
of weftrt.lapack, whose NumPy reader is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import assume_equal
from weftc.ir.node import Node
from weftc.ir.opdef import Attrs, ExternCall, Failure, Mapper
from weftc.ir.sizes import Size, product, static_shape
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, check
from weftc.transforms.batch import fails_for_some
from weftrt import dtypes
from weftrt.errors import LinAlgError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]

NANOSECONDS = 300
"""What a matrix takes at least, about; each multiplication takes up to one more."""
SINGULAR = "the matrix is singular"
NO_CONVERGENCE = "the iteration did not converge, or an element is not finite"


def matrix_type(name: str, type_: TensorType) -> TensorType:
    """The type, if it is of matrices of floats; ShapeError or DTypeError."""
    check.kind(name, type_, check.FLOATS)
    if type_.rank < 2:
        raise ShapeError(f"{name} takes matrices, but {check.describe(type_)} has no two axes")
    return type_


def square_type(name: str, type_: TensorType) -> TensorType:
    """The same, for square ones."""
    rows, columns = matrix_type(name, type_).shape[-2:]
    if not assume_equal(rows, columns):
        raise ShapeError(f"{name} takes square matrices, but was given {check.describe(type_)}")
    return type_


def call_of(name: str, node: Node, sizes: Sequence[Size], work: Size) -> ExternCall:
    """Call a function of lapack.FUNCTIONS for each matrix; `work` is what one takes."""
    x = node.inputs[0].type
    count = product(x.shape[:-2])
    routine = f"weft_lapack_{name}_f{x.dtype.bits}"
    return ExternCall(routine, (count, *sizes), count * (work + NANOSECONDS))


def zeros_of(type_: TensorType) -> Array:
    """An array of zeros."""
    return np.zeros(static_shape(type_.shape), type_.dtype.dtype)


def zeros(type_: TupleType) -> tuple[Array, ...]:
    """An array of zeros for each tensor of a type."""
    return tuple(zeros_of(item) for item in type_.items if isinstance(item, TensorType))


def _stacked(array: Array, matrix_axes: int) -> Array:
    """An array with one axis in front of the last `matrix_axes`."""
    shape = array.shape[array.ndim - matrix_axes :]
    count = int(np.prod(array.shape[: array.ndim - matrix_axes]))
    return array.reshape(count, *shape)


def run(
    name: str, arrays: Arrays, results: Sequence[tuple[Array, int]], *sizes: int, failed: str = ""
) -> None:
    """Call LAPACK on stacks; `results` come with the number of their axes for one matrix. An error
    of what has `failed` names the first matrix that does."""
    from weftrt import lapack  # most programs call none

    stacks = [_stacked(np.ascontiguousarray(array), 2) for array in arrays]
    written = [_stacked(result, axes) for result, axes in results]
    try:
        lapack.run(name, [*stacks, *written], (len(stacks[0]), *sizes))
    except lapack.Failed as error:
        raise LinAlgError(f"{failed} (element {error.matrix})") from None


def by_matrix(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper
) -> Node:
    """Each matrix is worked on by itself, whatever axes there are before the last two. Where the op
    fails for some, elements that are not active have identities instead."""
    given = list(inputs)
    if mapper.active is not None and fails_for_some(node):
        given[0] = _harmless(given[0], batched[0], mapper.active)
    if any(batched):
        given = [i if b else mapper.expanded(i) for i, b in zip(given, batched)]
    return node.op(*given, **node.attrs)


def _harmless(matrix: Node, mapped: bool, active: Node) -> Node:
    """The matrices of elements that are active; one that all have in common, if any element is."""
    holds = active if mapped else build.call("any", active, axes=(0,))
    holds = build.expand(holds, matrix.type.shape, (0,) if mapped else ())
    return build.call("where", holds, matrix, identities(matrix))


def samples_of(*shapes: tuple[int, ...]) -> list[Types]:
    """Types of operands of these shapes, in each dtype."""
    return [
        tuple(TensorType(dtype, shape) for shape in shapes)
        for dtype in (dtypes.float32, dtypes.float64)
    ]


def run_square(
    op: str, problem: str, name: str, arrays: Arrays, results: Sequence[tuple[Array, int]]
) -> None:
    """run with square matrices; LinAlgError for the first that fails."""
    sizes = (arrays[0].shape[-1], *results[0][0].shape[-1:])
    run(name, arrays, results, *sizes, failed=f"{op}: {problem}")


def failing(problem: str, name: str = "") -> Callable[[Node], Failure]:
    """The rule of an op that fails with LinAlgError; `name` is what users call it."""
    return lambda node: Failure(LinAlgError, f"{name or node.op.name}: {problem}")


def square_samples() -> list[tuple[Types, Attrs]]:
    """Of ops of one stack of square matrices."""
    shapes = ((3, 3), (1, 1), (0, 0), (2, 4, 4), (2, 0, 0), (0, 3, 3), (2, 1, 2, 2))
    return [(types, {}) for shape in shapes for types in samples_of(shape)]


# ---------------------------------------------------------------------------------------------
# Matrices as nodes, for gradients
# ---------------------------------------------------------------------------------------------


def transposed(x: Node) -> Node:
    """The last two axes exchanged."""
    rank = x.type.rank
    return build.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def matmul(a: Node, b: Node) -> Node:
    """The product of matrices with equal leading axes."""
    lead = tuple(range(a.type.rank - 2))
    inner = ((a.type.rank - 1,), (b.type.rank - 2,))
    return build.call("contract", a, b, batch=(lead, lead), contracted=inner)


def scaled(x: Node, factor: float) -> Node:
    """x times a number."""
    return build.call("mul", x, build.like(factor, x))


def identities(like: Node) -> Node:
    """Identity matrices of the shape of `like`."""
    shape = like.type.shape
    rows, columns = (
        build.call("iota", shape=shape, axis=len(shape) - axis, dtype=dtypes.int64)
        for axis in (2, 1)
    )
    return build.convert(build.call("eq", rows, columns), like.type.dtype)


def triangle(x: Node, lower: bool, diagonal: float) -> Node:
    """A triangle of matrices, the diagonal times a factor, and zeros elsewhere."""
    shape = x.type.shape[-2:]
    row, column = (build.call("iota", shape=shape, axis=a, dtype=dtypes.int64) for a in (0, 1))
    inside = build.call("gt" if lower else "lt", row, column)
    on = build.call("eq", row, column)
    axes = (x.type.rank - 2, x.type.rank - 1)
    inside, on = (build.expand(mask, x.type.shape, axes) for mask in (inside, on))
    on_it = scaled(x, diagonal) if diagonal != 1 else x
    rest = build.call("where", inside, x, build.like(0.0, x))
    return build.call("where", on, on_it, rest) if diagonal else rest


def cut(x: Node, axis: int, start: Size, stop: Size) -> Node:
    """Some of the rows (axis -2) or columns (axis -1) of matrices."""
    shape, place = x.type.shape, x.type.rank + axis
    if (start, stop) == (0, shape[place]):
        return x
    starts = (*(0,) * place, start, *(0,) * (-axis - 1))
    stops = (*shape[:place], stop, *shape[place + 1 :])
    return build.call("slice", x, start=starts, stop=stops, step=(1,) * len(shape))


def joined(left: Node, right: Node, axis: int) -> Node:
    """Matrices below each other (axis -2) or side by side (axis -1)."""
    return build.call("concat", left, right, axis=left.type.rank + axis)


def rows_back(x: Node, permutation: Node) -> Node:
    """The matrices whose rows, in the order of a permutation, are x."""
    lead = x.type.rank - 2
    shared = {"batch": lead} if lead else {}
    return build.call("scatter_add", build.like(0.0, x), permutation, x, axis=lead, **shared)


def total(*terms: Node | None) -> Node | None:
    """The sum of those that are there."""
    found: Node | None = None
    for term in terms:
        if term is not None:
            found = term if found is None else build.call("add", found, term)
    return found


def parts(node: Node) -> list[Node]:
    """The results of a node."""
    assert isinstance(node.value_type, TupleType)
    return [build.call("project", node, index=i) for i in range(len(node.value_type.items))]


def triangular(a: Node, b: Node, transposed_: bool, lower: bool = True, unit: bool = False) -> Node:
    """x with t x = b, where t is a triangle of a."""
    return build.call("triangular_solve", a, b, lower=lower, transposed=transposed_, unit=unit)
