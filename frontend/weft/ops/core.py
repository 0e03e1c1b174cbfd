"""What public functions are made of: staging, dispatch, broadcasting, axes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import index as as_index
from typing import Any, ParamSpec

import numpy as np

from weft import diagnostics, dynamic
from weft.dispatch import Dispatcher
from weft.promotion import as_strong, default_dtype, number, promoted
from weft.symbolic import plain, value_of
from weft.tracing import (
    SCALAR_DTYPES,
    Tracer,
    apply,
    array_dtype,
    check_rank,
    lift,
    no_operand,
    scalar_item,
    state,
)
from weftc.ir.constraints import AtLeast, assume, assume_equal, assume_is_one
from weftc.ir.sizes import Dim, Shape, Size, static_shape
from weftc.ir.types import TensorType, check_size
from weftrt import array
from weftrt.array import Array
from weftrt.dtypes import DType
from weftrt.errors import OutOfMemoryError, ShapeError, UsageError, WeftError
from weftrt.sizes import no_memory

P = ParamSpec("P")


def operation(*static: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Make a public function of one that builds nodes.

    While a trace is open it is staged; else it is compiled once per kind of arguments: the static
    arguments, the dtypes, the ranks, which axes have size 1 and which sizes had to be equal. The
    sizes themselves are symbols, so that a new size needs no compile; those whose values are needed
    (by a reshape with -1) are fixed. `static` names the parameters whose values, not types, matter.
    """

    def decorate(body: Callable[P, Any]) -> Callable[P, Any]:
        dispatcher = Dispatcher(body, static, dynamic.Every(), eager=True)
        public: Callable[P, Any] = functools.update_wrapper(dispatcher.compiled, body, updated=())
        return public

    return decorate


def operator(
    function: Callable[..., Any], operands: tuple[type, ...], refuse: Callable[[Any], Any]
) -> Callable[..., Any]:
    """The method of an operator, which runs the programs of a public function of two operands;
    `refuse(other)` where the other operand is none of `operands`."""
    found: Dispatcher | None = getattr(function, "_dispatcher", None)
    body = function if found is None else found.function

    def traced(self: Any, other: Any) -> Any:
        return body(self, other) if isinstance(other, operands) else refuse(other)

    if found is None:  # a public function in Python, as pow is
        return traced
    dispatcher = found

    def slow(compiled: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) == 2 and not isinstance(args[1], operands):
            return refuse(args[1])
        return dispatcher.slow_path(compiled, args, kwargs)

    return functools.update_wrapper(dispatcher.new_callable(traced, slow), body, updated=())


def operand(x: Any) -> Tracer | Array:
    """`x` for a function that only changes the shape: a node in a trace, an Array outside."""
    if state.trace is not None:
        return as_strong(lift(x))
    return x if isinstance(x, Array) else array.from_numpy(host(x))


def host(x: Any) -> np.ndarray[Any, Any]:
    """A scalar or NumPy array as an ndarray of a dtype that Weft has."""
    if isinstance(x, np.generic) and type(scalar_item(x)) in SCALAR_DTYPES:
        x = x.item()
    if type(x) in SCALAR_DTYPES:
        dtype = default_dtype(SCALAR_DTYPES[type(x)])
        return np.asarray(number(x, dtype), dtype.dtype)
    if not isinstance(x, (np.ndarray, np.generic)):
        raise no_operand(x, "an operand")
    source = x if isinstance(x, np.ndarray) else np.asarray(x)
    array_dtype(source, "the array")
    check_rank(source.ndim, "the array")
    return np.asarray(source)


def made(dtype: DType, sizes: tuple[int, ...], make: Callable[[], Array]) -> Array:
    """An array made outside of a trace; OutOfMemoryError with the user's line."""
    try:
        check_size(TensorType(dtype, sizes))
        return make()
    except MemoryError as error:
        known = isinstance(error, OutOfMemoryError)
        problem = error if known else no_memory("an array", dtype, sizes)
        raise diagnostics.located(OutOfMemoryError, str(problem)) from None


def sizes(x: Tracer | Array) -> Shape:
    """The sizes of the axes, as the compiler has them."""
    return x.type.shape if isinstance(x, Tracer) else x.shape


def fixed(sizes: Shape) -> tuple[int, ...]:
    """Sizes as integers. The trace holds for no others of those that are symbolic."""
    return tuple(map(value_of, sizes))


def reshaped(x: Tracer | Array, shape: Shape) -> Tracer | Array:
    """`x` in a shape of the same size: a node, or a view of the same memory."""
    if isinstance(x, Tracer):
        return apply("reshape", x, shape=shape)
    check_rank(len(shape), "the result")
    sizes = static_shape(shape)
    return made(x.dtype, sizes, lambda: array.view(x, sizes))


def broadcast(x: Tracer, shape: Shape) -> Tracer:
    """`x` at `shape`, which it is known to fit: leading axes are added, axes of size 1 repeat."""
    if x.type.shape == shape:
        return x
    lead = len(shape) - x.ndim
    return apply("broadcast", x, shape=shape, axes=tuple(range(lead, len(shape))))


def broadcast_shapes(name: str, operands: Sequence[Tracer], trailing: int = 0) -> Shape:
    """The shape that the operands broadcast to, without the last `trailing` axes of each."""
    rank = max(o.ndim for o in operands) - trailing
    result: list[Size] = [1] * rank
    for operand in operands:
        lead = operand.ndim - trailing
        for axis, size in enumerate(operand.type.shape[:lead], rank - lead):
            if result[axis] == 1:
                result[axis] = size
            elif size == 1 or assume_equal(result[axis], size) or assume_is_one(size):
                continue
            elif assume_is_one(result[axis]):
                result[axis] = size
            else:
                diagnostics.fail(
                    ShapeError,
                    name,
                    operands,
                    f"sizes {result[axis]} and {size} of axis {axis - rank - trailing} do not "
                    "broadcast; they must be equal, or one of them 1",
                )
    return tuple(result)


def matched(name: str, *operands: Tracer) -> list[Tracer]:
    """The operands in their common dtype and shape."""
    shapes = [o.type.shape for o in operands if o.type.shape]  # a scalar fits any
    shape = shapes[0] if shapes else ()
    if shapes.count(shape) < len(shapes):
        shape = broadcast_shapes(name, operands)
    return [broadcast(o, shape) for o in promoted(name, *operands)]


def axis_of(name: str, x: Tracer | Array, axis: Any, rank: int | None = None) -> int:
    """`axis` counted from the front; ShapeError if `x` has no such axis."""
    what = "the result" if rank is not None else "{0}"
    rank = x.ndim if rank is None else rank
    if type(axis) is not int:
        axis = integer(name, "an axis", axis, UsageError)
    if not -rank <= axis < rank:
        axes = "1 axis" if rank == 1 else f"{rank} axes"
        diagnostics.fail(ShapeError, name, [x], f"there is no axis {axis}; {what} has {axes}")
    return int(axis % rank)


def integer(name: str, what: str, value: Any, kind: type[WeftError]) -> int:
    """`value` as an int; an error of `kind` if it is none."""
    try:
        return as_index(value)
    except TypeError as error:
        if isinstance(error, WeftError):  # of a traced value
            raise
        problem = f"{name}: {what} is an integer, not {value!r:.40}"
        raise diagnostics.located(kind, problem) from None


def flag(name: str, called: str, value: Any) -> bool:
    """`value`, if it is a bool; UsageError."""
    if not isinstance(value, bool):
        problem = f"{name}: {called} is True or False, not {value!r:.40}"
        raise diagnostics.located(UsageError, problem)
    return value


def items_of(name: str, what: str, value: Any) -> tuple[Any, ...]:
    """A sequence argument as a tuple; UsageError if it is none."""
    if isinstance(value, (tuple, list, range)):
        return tuple(value)
    problem = f"{name}: {what} is a tuple of integers, not {value!r:.40}"
    raise diagnostics.located(UsageError, problem)


def axes_of(name: str, x: Tracer | Array, axis: Any) -> tuple[int, ...]:
    """`axis` (an int, a tuple, or None for all) as ascending axes of `x`."""
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [axis_of(name, x, a) for a in given]
    if len(set(axes)) < len(axes):
        diagnostics.fail(ShapeError, name, [x], f"an axis is repeated in {axis}")
    return tuple(sorted(axes))


def shape_of(name: str, shape: Any, unknown: bool = False) -> Shape:
    """A shape argument: a size or a sequence of them; -1 is one to work out, where allowed."""
    items = plain(tuple(shape) if isinstance(shape, (tuple, list)) else (shape,))
    return tuple(
        item if isinstance(item, Dim) and assume(AtLeast(item, 0)) else size_of(name, item, unknown)
        for item in items
    )


def size_of(name: str, size: Any, unknown: bool = False) -> int:
    """A size argument as an int that is not negative (or -1, where that is allowed)."""
    known = value_of(size) if isinstance(size, Dim) else size
    result = integer(name, "a size", known, ShapeError)
    if result < 0 and not (unknown and result == -1):
        raise diagnostics.located(ShapeError, f"{name}: the size {result} is negative")
    return result


def keep_axes(x: Tracer, axes: Sequence[int], shape: Shape) -> Tracer:
    """A reduction's result with the reduced `axes` of `shape` put back as axes of size 1."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return x if x.type.shape == kept else apply("reshape", x, shape=kept)
