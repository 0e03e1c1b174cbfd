"""Operators and methods of arrays: one table, installed on Array and Tracer alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weft import diagnostics
from weft.boundary import public
from weft.names import counterpart
from weft.ops import complex_numbers, elementwise, indexing, linear_algebra, movement, reductions
from weft.ops.core import operator
from weft.promotion import decided, number
from weft.symbolic import SymbolicInt
from weft.tracing import OPERANDS, SCALAR_DTYPES, Tracer, apply, is_literal, lift, literal
from weftrt import array, dtypes
from weftrt.array import Array
from weftrt.dtypes import DType, Kind
from weftrt.errors import TraceError, UsageError

Function = Callable[..., Any]

# operator, the public function, the primitive of arithmetic among Python scalars
_BINARY: dict[str, tuple[Function, str]] = {
    "add": (elementwise.add, "add"),
    "sub": (elementwise.subtract, "sub"),
    "mul": (elementwise.multiply, "mul"),
    "truediv": (elementwise.divide, "div"),
    "floordiv": (elementwise.floor_divide, "floor_divide"),
    "mod": (elementwise.remainder, "remainder"),
    "pow": (elementwise.pow, "pow"),
    "and": (elementwise.bitwise_and, "bitwise_and"),
    "or": (elementwise.bitwise_or, "bitwise_or"),
    "xor": (elementwise.bitwise_xor, "bitwise_xor"),
    "lshift": (elementwise.bitwise_left_shift, "shift_left"),
    "rshift": (elementwise.bitwise_right_shift, "shift_right"),
}
_COMPARISONS: dict[str, tuple[Function, str]] = {
    "lt": (elementwise.less, "lt"),
    "le": (elementwise.less_equal, "le"),
    "gt": (elementwise.greater, "gt"),
    "ge": (elementwise.greater_equal, "ge"),
    "eq": (elementwise.equal, "eq"),
    "ne": (elementwise.not_equal, "ne"),
}
_UNARY: dict[str, tuple[Function, str]] = {
    "neg": (elementwise.negative, "neg"),
    "pos": (elementwise.positive, "identity"),
    "abs": (elementwise.abs, "abs"),
    "invert": (elementwise.bitwise_invert, "bitwise_not"),
}
_UFUNCS: dict[Any, Function] = {
    np.add: elementwise.add,
    np.subtract: elementwise.subtract,
    np.multiply: elementwise.multiply,
    np.true_divide: elementwise.divide,
    np.floor_divide: elementwise.floor_divide,
    np.remainder: elementwise.remainder,
    np.power: elementwise.pow,
    np.matmul: linear_algebra.matmul,
    np.bitwise_and: elementwise.bitwise_and,
    np.bitwise_or: elementwise.bitwise_or,
    np.bitwise_xor: elementwise.bitwise_xor,
    np.left_shift: elementwise.bitwise_left_shift,
    np.right_shift: elementwise.bitwise_right_shift,
    np.less: elementwise.less,
    np.less_equal: elementwise.less_equal,
    np.greater: elementwise.greater,
    np.greater_equal: elementwise.greater_equal,
    np.equal: elementwise.equal,
    np.not_equal: elementwise.not_equal,
}
_COMPARED = frozenset(op for _, op in _COMPARISONS.values())
_NO_OPERANDS = (type(None), str, bytes, list, tuple, dict, set)
"""Types that know nothing of arrays. Their subclasses may."""


def _is_weak(value: Any) -> bool:
    if isinstance(value, Tracer):
        return value.weak
    return type(value) in SCALAR_DTYPES or isinstance(value, SymbolicInt)


def _scalar_dtype(op: str, kinds: set[Kind]) -> DType:
    """Where Python computes `op` on scalars of these kinds."""
    if Kind.COMPLEX in kinds:
        return dtypes.complex128
    if Kind.FLOAT in kinds or op in ("div", "pow"):
        return dtypes.float64
    logical = op in ("bitwise_and", "bitwise_or", "bitwise_xor")
    return dtypes.bool_ if logical and kinds == {Kind.BOOL} else dtypes.int64


def _python_arithmetic(op: str, *values: Any) -> Tracer:
    """`op` among weak scalars: in float64 or int64, and weak again."""
    operands = [lift(value) for value in values]
    answer = decided(op, *operands) if op in _COMPARED else None
    if answer is not None:
        return lift(answer)
    dtype = _scalar_dtype(op, {o.dtype.kind for o in operands})
    return apply(op, *(_weak_in(o, dtype) for o in operands), weak=True)


def _weak_in(x: Tracer, dtype: DType) -> Tracer:
    if x.value is not None and is_literal(x.node):
        return literal(number(x.value, dtype), dtype)
    return x if x.dtype is dtype else apply("convert", x, dtype=dtype, weak=True)


def _traced_binary(function: Function, op: str, reflected: bool) -> Function:
    refuse = _refusal(op)

    def method(self: Tracer, other: Any) -> Any:
        if not _is_operand(other):
            return refuse(other)
        left, right = (other, self) if reflected else (self, other)
        if self.weak and _is_weak(other):
            return _python_arithmetic(op, left, right)
        return function(left, right)

    return method


def _refuse(other: Any) -> Any:
    """An error for what is no operand; NotImplemented for classes that may know what to do."""
    if type(other) in _NO_OPERANDS:
        hint = "; wf.asarray makes an array of it" if isinstance(other, (list, tuple)) else ""
        problem = f"an operand is an array or a number, not {diagnostics.kind_of(other)}{hint}"
        raise diagnostics.located(TraceError, problem)
    return NotImplemented


def _traced_unary(function: Function, op: str) -> Function:
    return lambda self: _python_arithmetic(op, self) if self.weak else function(self)


def _reflected(function: Function) -> Function:
    return lambda self, other: function(other, self) if _is_operand(other) else _refuse(other)


def _is_operand(value: Any) -> bool:
    return isinstance(value, OPERANDS)


def _unequal(other: Any) -> Any:
    """What == says of another operand: only lists, whose elements might be meant, are refused."""
    return _refuse(other) if isinstance(other, (list, tuple)) else NotImplemented


def _refusal(op: str) -> Callable[[Any], Any]:
    """What an operator does with another operand that is none."""
    return _unequal if op in ("eq", "ne") else _refuse


def _method(member: Any) -> Any:
    """A method or property as users reach it (weft.boundary)."""
    if isinstance(member, property) and member.fget is not None:
        return property(public(member.fget), doc=member.__doc__)
    return public(member)


def _install_operators() -> None:
    for name, (function, op) in _BINARY.items():
        setattr(Array, f"__{name}__", _method(operator(function, OPERANDS, _refuse)))
        setattr(Array, f"__r{name}__", _method(_reflected(function)))
        setattr(Tracer, f"__{name}__", _method(_traced_binary(function, op, False)))
        setattr(Tracer, f"__r{name}__", _method(_traced_binary(function, op, True)))
    for name, (function, op) in _COMPARISONS.items():
        setattr(Array, f"__{name}__", _method(operator(function, OPERANDS, _refusal(op))))
        setattr(Tracer, f"__{name}__", _method(_traced_binary(function, op, False)))
    for name, (function, op) in _UNARY.items():
        setattr(Array, f"__{name}__", _method(function))
        setattr(Tracer, f"__{name}__", _method(_traced_unary(function, op)))
    for cls in (Array, Tracer):
        cls.__hash__ = None  # type: ignore[assignment, method-assign]
        for name, member in _SHARED.items():
            setattr(cls, name, _method(member))


def _reshape(self: Any, *shape: Any) -> Any:
    """The same elements in another shape: x.reshape(2, 3) or x.reshape((2, 3))."""
    return movement.reshape(self, shape[0] if len(shape) == 1 else shape)


def _transpose(self: Any, *axes: Any) -> Any:
    """The axes reversed, or in the order given."""
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    return movement.transpose(self, axes=tuple(order) if order else None)


def _reduction(function: Function) -> Function:
    def method(self: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        for name in ("out", "dtype"):  # np.sum(x) and the like pass None
            if options.get(name, self) is None:
                del options[name]
        if "ddof" in options:
            options["correction"] = options.pop("ddof")
        return function(self, axis=axis, keepdims=keepdims, **options)

    method.__doc__ = function.__doc__
    return method


def _setitem(self: Any, key: Any, value: Any) -> None:
    raise diagnostics.located(
        TraceError,
        "arrays are immutable; wf.where(condition, new, x) makes a changed one, "
        "where the condition may be wf.arange(n) == i",
    )


def _delitem(self: Any, key: Any) -> None:
    raise diagnostics.located(TraceError, "arrays are immutable; x[:n] and wf.concat make others")


def _array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy's operators on arrays mean Weft's; other ufuncs need values."""
    function = _UFUNCS.get(ufunc)
    if function is not None and method == "__call__" and not options:
        return function(*inputs)
    if any(isinstance(x, Tracer) for x in inputs):
        name, ours = ufunc.__name__, counterpart(ufunc.__name__)
        instead = f"wf.{ours}" if ours else "functions of weft"
        problem = f"np.{name} needs values, which are not known while tracing; use {instead}"
        raise diagnostics.located(TraceError, problem)
    values = [np.asarray(x) if isinstance(x, Array) else x for x in inputs]
    return getattr(ufunc, method)(*values, **options)


def _array_namespace(self: Any, /, *, api_version: str | None = None) -> Any:
    import weft

    return weft


def _to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """The array itself: "cpu" is the only device."""
    if device != "cpu" or stream is not None:
        problem = f"to_device: the only device is 'cpu', without streams, not {device!r:.40}"
        raise diagnostics.located(UsageError, problem)
    return self


_SHARED: dict[str, Any] = {
    "__matmul__": operator(linear_algebra.matmul, OPERANDS, _refuse),
    "__rmatmul__": _reflected(linear_algebra.matmul),
    "__getitem__": indexing.getitem,
    "__setitem__": _setitem,
    "__delitem__": _delitem,
    "__array_ufunc__": _array_ufunc,
    "__array_namespace__": _array_namespace,
    "T": property(lambda self: movement.transpose(self), doc="The axes reversed."),
    "mT": property(movement.matrix_transpose, doc="The last two axes exchanged."),
    "real": property(complex_numbers.real, doc="The real parts."),
    "imag": property(complex_numbers.imag, doc="The imaginary parts."),
    "conj": complex_numbers.conj,
    "device": property(lambda self: "cpu", doc="Where the elements are."),
    "to_device": _to_device,
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": movement.squeeze,
    "astype": elementwise.astype,
    **{
        name: _reduction(getattr(reductions, name))
        for name in ("sum", "prod", "max", "min", "mean", "var", "std", "any", "all")
    },
    "argmax": _reduction(reductions.argmax),
    "argmin": _reduction(reductions.argmin),
}


def _item(self: Array) -> Any:
    """The only element as a Python scalar."""
    if self.size != 1:
        problem = f"only an array of one element is a scalar, not one of shape {self.shape}"
        raise diagnostics.located(TraceError, problem)
    return array.to_numpy(self).item()


def _truth(self: Array) -> bool:
    if self.size != 1:
        problem = f"only an array of one element is true or false, not one of shape {self.shape}"
        raise diagnostics.located(TraceError, f"{problem}; use wf.any(x) or wf.all(x)")
    return bool(_item(self))


def _index(self: Array) -> int:
    if not self.dtype.is_integer or self.ndim:
        problem = f"only a 0-d integer array is an index, not {self.dtype}{list(self.shape)}"
        raise diagnostics.located(TraceError, problem)
    return int(_item(self))


def _length(self: Array) -> int:
    if not self.ndim:
        raise diagnostics.located(TraceError, "a 0-d array has no length")
    return self.shape[0]


def _elements(self: Array) -> Iterator[Any]:
    return (indexing.getitem(self, i) for i in range(_length(self)))


def _array(self: Array, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    view = array.to_numpy(self)
    if dtype is not None and np.dtype(dtype) != view.dtype:
        if copy is False:
            raise ValueError("another dtype needs a copy")
        return view.astype(dtype)
    return view.copy() if copy else view


def _dlpack(self: Array, *, max_version: Any = None, **options: Any) -> Any:
    """A capsule of read-only memory; a copy for consumers too old to know of read-only."""
    view = array.to_numpy(self)
    if max_version is None or max_version[0] < 1:
        return view.copy().__dlpack__()
    return view.__dlpack__(max_version=max_version, **options)


def _repr(self: Array) -> str:
    if array.is_donated(self):
        return f"<donated Array, {self.dtype}{list(self.shape)}>"
    text = np.array2string(array.to_numpy(self), separator=", ", prefix="Array(")
    return f"Array({text}, dtype={self.dtype})"


def _rebuild(source: np.ndarray[Any, Any]) -> Array:
    return array.from_numpy(source, copy=False)


_ARRAY_ONLY: dict[str, Any] = {
    "item": _item,
    "tolist": lambda self: array.to_numpy(self).tolist(),
    "__bool__": _truth,
    "__int__": lambda self: int(_item(self)),
    "__float__": lambda self: float(_item(self)),
    "__complex__": lambda self: complex(_item(self)),
    "__index__": _index,
    "__len__": _length,
    "__iter__": _elements,
    "__contains__": lambda self, value: bool(np.any(array.to_numpy(self) == value)),
    "__array__": _array,
    "__dlpack__": _dlpack,
    "__dlpack_device__": lambda self: (1, 0),
    "__repr__": _repr,
    "__str__": lambda self: str(array.to_numpy(self)),
    "__reduce__": lambda self: (_rebuild, (array.to_numpy(self).copy(),)),
    "__format__": lambda self, spec: format(_item(self), spec) if spec else str(self),
}


_DOCUMENTATION = """An immutable array in memory: elements of one `dtype`, of a `shape`, row-major.

Made by `asarray`, `zeros`, `arange` and the like, and by every function outside of a trace; NumPy
reads it without a copy. Within a trace a traced value, which is no Array, stands for it."""


def install() -> None:
    """Give Array and Tracer their methods; done once, when the package is first used."""
    _install_operators()
    Array.__doc__ = _DOCUMENTATION
    for name, member in _ARRAY_ONLY.items():
        setattr(Array, name, _method(member))


install()
