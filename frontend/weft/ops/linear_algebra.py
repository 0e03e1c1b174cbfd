"""Products of matrices and tensors, all by one primitive contraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft import diagnostics
from weft.ops import core, elementwise, movement, reductions
from weft.ops.complex_numbers import conjugated
from weft.ops.core import operation
from weft.promotion import as_strong, promoted
from weft.tracing import Tracer, active, apply, lift
from weftc.ir.constraints import assume_equal, assume_is_one
from weftc.ir.sizes import product
from weftc.ops.contraction import column_product, free_axes
from weftrt.errors import ShapeError, UsageError

Pairs = tuple[tuple[int, ...], tuple[int, ...]]


def contraction(a: Tracer, b: Tracer, batch: Pairs, contracted: Pairs) -> Tracer:
    """The sum over pairs of axes; result axes are batch, free of a, free of b.

    Where b has no free axis, or only ones of size 1, it is the sum of the rounded products.
    """
    free = [b.type.shape[axis] for axis in free_axes(b.ndim, batch[1], contracted[1])]
    if product(free) == 1 or (not contracted[0] and all(map(assume_is_one, free))):
        return Tracer(column_product(a.node, b.node, batch, contracted), active())
    more: dict[str, Any] = {}
    if not contracted[0]:
        a, contracted = _with_axis(a), ((a.ndim,), contracted[1])
        b, contracted = _with_axis(b), (contracted[0], (b.ndim,))
    elif a.dtype.is_float and not isinstance(product(free), int):
        more["column_sum"] = True
    return apply("contract", a, b, batch=batch, contracted=contracted, name="matmul", **more)


def _with_axis(x: Tracer) -> Tracer:
    return apply("reshape", x, shape=(*x.type.shape, 1))


@operation()
def matmul(x1: Any, x2: Any, /) -> Tracer:
    """The matrix product of the last two axes; leading axes broadcast, 1-d operands are vectors."""
    a, b = promoted("matmul", lift(x1), lift(x2))
    if not a.ndim or not b.ndim:
        diagnostics.fail(ShapeError, "matmul", [a, b], "both must have an axis; use * for scalars")
    inner = b.ndim - 2 if b.ndim > 1 else 0
    left, right = a.type.shape[-1], b.type.shape[inner]
    if not assume_equal(left, right):
        place = "the first axis" if b.ndim <= 2 else "the second last axis"
        problem = f"the last axis of {{0}} ({left}) must equal {place} of {{1}} ({right})"
        diagnostics.fail(ShapeError, "matmul", [a, b], problem)
    if b.ndim <= 2:
        return contraction(a, b, ((), ()), ((a.ndim - 1,), (inner,)))
    return _batched(a, b)


def _batched(a: Tracer, b: Tracer) -> Tracer:
    """A product in which b has leading axes: both take the broadcast of the leading axes."""
    vector = a.ndim == 1
    if vector:
        a = apply("reshape", a, shape=(1, *a.type.shape))
    lead = core.broadcast_shapes("matmul", [a, b], trailing=2)
    rank = len(lead)
    a = core.broadcast(a, (*lead, *a.type.shape[-2:]))
    b = core.broadcast(b, (*lead, *b.type.shape[-2:]))
    axes = tuple(range(rank))
    result = contraction(a, b, (axes, axes), ((rank + 1,), (rank,)))
    return apply("reshape", result, shape=(*lead, result.type.shape[-1])) if vector else result


@operation("axes")
def tensordot(x1: Any, x2: Any, /, axes: Any = 2) -> Tracer:
    """The sum over the last `axes` axes of x1 and the first of x2, or over pairs of axes."""
    a, b = promoted("tensordot", lift(x1), lift(x2))
    left, right = _contracted(a, b, axes)
    pairs = list(zip(left, right))
    sizes = ((a.type.shape[i], b.type.shape[j]) for i, j in pairs)
    if len(left) != len(right) or not all(assume_equal(*pair) for pair in sizes):
        problem = f"axes {left} of {{0}} and {right} of {{1}} must have equal sizes"
        diagnostics.fail(ShapeError, "tensordot", [a, b], problem)
    return contraction(a, b, ((), ()), (left, right))


def _contracted(a: Tracer, b: Tracer, axes: Any) -> Pairs:
    """The axes that `tensordot` sums over: a number of them, or those of each operand."""
    if not isinstance(axes, (tuple, list)):
        count = core.integer("tensordot", "the number of axes", axes, UsageError)
        if not 0 <= count <= min(a.ndim, b.ndim):
            diagnostics.fail(ShapeError, "tensordot", [a, b], f"they have no {count} axes to sum")
        return tuple(range(a.ndim - count, a.ndim)), tuple(range(count))
    if len(axes) != 2:
        problem = f"tensordot: axes is a number or a pair of axes, not {axes!r:.40}"
        raise diagnostics.located(UsageError, problem)
    pairs = (part if isinstance(part, (tuple, list, range)) else (part,) for part in axes)
    left, right = (
        tuple(core.axis_of("tensordot", x, axis) for axis in part)
        for x, part in zip((a, b), pairs, strict=True)
    )
    return left, right


@operation("axis")
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tracer:
    """The sum of products along `axis`, which counts from the end and has one size in both; of
    complex numbers, the products of the conjugates of `x1`."""
    a, b = as_strong(lift(x1)), as_strong(lift(x2))
    sizes = [x.type.shape[core.axis_of("vecdot", x, axis)] for x in (a, b)]
    if not assume_equal(*sizes):
        problem = f"axis {axis} of {{0}} ({sizes[0]}) must equal that of {{1}} ({sizes[1]})"
        diagnostics.fail(ShapeError, "vecdot", [a, b], problem)
    a, b = core.matched("vecdot", a, b)
    a = conjugated(a)
    return reductions.reduce("sum", "vecdot", apply("mul", a, b), axis, False)


@operation()
def outer(x1: Any, x2: Any, /) -> Tracer:
    """All products of the elements of two vectors."""
    a, b = promoted("outer", lift(x1), lift(x2))
    if a.ndim != 1 or b.ndim != 1:
        diagnostics.fail(ShapeError, "outer", [a, b], "both must be 1-d")
    column = apply("reshape", a, shape=(*a.type.shape, 1))
    return elementwise.binary("mul", "outer", column, b)


@operation("subscripts")
def einsum(subscripts: str, /, *operands: Any) -> Tracer:
    """Sums of products by Einstein's notation, "ij,jk->ik", operands from left to right.

    A letter may not be repeated in one operand; "..." stands for equal leading axes.
    """
    values = promoted("einsum", *(lift(o) for o in operands))
    terms, result = _parse(subscripts, values)
    term, value = terms[0], values[0]
    for position in range(1, len(values)):
        later = set(result).union(*terms[position + 1 :])
        term, value = _pair(term, value, terms[position], values[position], later)
    term, value = _summed(term, value, set(result))
    order = [term.index(letter) for letter in result]
    value = movement.transposed(value, order)
    return value if value is not values[0] else apply("identity", value)


def _parse(subscripts: str, values: Sequence[Tracer]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; an ellipsis becomes capital Greek letters."""
    if not isinstance(subscripts, str):
        problem = "einsum: the first argument is a text such as 'ij,jk->ik', not "
        raise diagnostics.located(UsageError, problem + diagnostics.kind_of(subscripts))
    inputs, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not all(map(str.isalpha, (inputs + result).replace("...", "").replace(",", ""))):
        raise _subscripts_error(subscripts, "is not of letters, commas, '...' and '->'")
    if len(terms) != len(values):
        raise _subscripts_error(subscripts, f"names {len(terms)} operands, not {len(values)}")
    extra = {v.ndim - len(t) + 3 for t, v in zip(terms, values, strict=True) if "..." in t}
    if len(extra) > 1:
        raise _subscripts_error(subscripts, "has ellipses for different numbers of axes")
    dots = "".join(chr(0x391 + i) for i in range(extra.pop() if extra else 0))
    if not arrow:
        letters = sorted(inputs.replace(",", "").replace("...", ""))
        result = "..." * ("..." in inputs) + "".join(c for c in letters if letters.count(c) == 1)
    terms = [t.replace("...", dots) for t in terms]
    result = result.replace("...", dots)
    sizes: dict[str, Any] = {}
    for term, value in zip(terms, values, strict=True):
        if len(set(term)) != len(term) or len(term) != value.ndim:
            problem = f"writes {term!r} for an operand with {value.ndim} axes"
            raise _subscripts_error(subscripts, problem + " (each letter once)")
        for letter, size in zip(term, value.type.shape, strict=True):
            if not assume_equal(sizes.setdefault(letter, size), size):
                problem = f"{subscripts!r} has sizes {sizes[letter]} and {size} for {letter}"
                diagnostics.fail(ShapeError, "einsum", values, problem)
    if len(set(result)) != len(result) or not set(result) <= set(sizes):
        raise _subscripts_error(subscripts, "repeats or invents a letter in the result")
    return terms, result


def _subscripts_error(subscripts: str, problem: str) -> Exception:
    return diagnostics.located(UsageError, f"einsum: {subscripts!r} {problem}")


def _summed(term: str, value: Tracer, kept: set[str]) -> tuple[str, Tracer]:
    """`value` summed over the letters that nobody else needs."""
    axes = tuple(axis for axis, letter in enumerate(term) if letter not in kept)
    if axes:
        value = reductions.reduce("sum", "einsum", value, axes, False)
    return "".join(letter for letter in term if letter in kept), value


def _pair(left: str, a: Tracer, right: str, b: Tracer, later: set[str]) -> tuple[str, Tracer]:
    left, a = _summed(left, a, later | set(right))
    right, b = _summed(right, b, later | set(left))
    shared = [letter for letter in left if letter in right]
    batch = [letter for letter in shared if letter in later]
    inner = [letter for letter in shared if letter not in later]
    free = [letter for letter in left + right if letter not in shared]
    batch_axes = (_axes(left, batch), _axes(right, batch))
    inner_axes = (_axes(left, inner), _axes(right, inner))
    return "".join(batch + free), contraction(a, b, batch_axes, inner_axes)


def _axes(term: str, letters: Sequence[str]) -> tuple[int, ...]:
    return tuple(term.index(letter) for letter in letters)
