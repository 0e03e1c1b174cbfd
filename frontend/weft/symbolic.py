"""The int-like that users see as a size while a function is traced for any size.

What is taken for granted of sizes is recorded by the assumptions of this thread. What needs the
value of a size (`int`, `range`, a comparison that is not the same for all) gets that of this call,
and it is recorded: the trace is then repeated with the size fixed.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from weft import diagnostics
from weftc.ir.constraints import AtLeast, Constraint, assume, assume_equal
from weftc.ir.size_functions import floor_div, mod
from weftc.ir.sizes import Dim, Size, product
from weftc.ir.tracing_state import state
from weftrt.array import Array
from weftrt.errors import TraceError


class Owner(Protocol):
    """The trace that a size belongs to."""

    is_open: bool

    def number(self, size: Dim) -> Any:
        """A size as a traced number."""


class SymbolicInt:
    """A size of an array while a function is traced for any size: it acts like an integer.

    Sums, differences, products, // and % with integers are sizes again, for the shapes of arrays.
    With floats and arrays, and divided by /, it is a number that the program computes. What needs
    its value (`int`, `range`, an index, text, a comparison that is not the same for all sizes) gets
    that of the call which is traced, and the trace is repeated with this size fixed. It is a
    `numbers.Integral`, but no `int`.
    """

    __slots__ = ("_owner", "dim")

    def __init__(self, dim: Dim, owner: Owner) -> None:
        self.dim = dim
        self._owner = owner

    def value(self) -> int:
        """What it is in this call; it is fixed at that."""
        if not self._owner.is_open:
            problem = f"the size {self.dim} is used after its trace has ended"
            raise diagnostics.located(TraceError, problem)
        return value_of(self.dim)

    __int__ = __index__ = value

    def __float__(self) -> float:
        return float(self.value())

    def __complex__(self) -> complex:
        return complex(self.value())

    def __bool__(self) -> bool:
        return _shown(AtLeast(self.dim, 1)) or bool(self.value())

    def __hash__(self) -> int:
        return hash(self.value())

    def __str__(self) -> str:
        return str(self.value())

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(self.value(), spec)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.value(), dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*map(known, inputs), **options)

    def __copy__(self) -> SymbolicInt:
        return self

    def __deepcopy__(self, memo: Any) -> SymbolicInt:
        return self

    def __reduce__(self) -> Any:
        return int, (self.value(),)

    def __pos__(self) -> SymbolicInt:
        return self

    __trunc__ = __floor__ = __ceil__ = __pos__

    def __neg__(self) -> Any:
        return self.wrapped(self.dim * -1)

    def __round__(self, digits: int | None = None) -> Any:
        return self if digits is None or digits >= 0 else round(int(self), digits)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __abs__(self) -> Any:
        return self if _shown(AtLeast(self.dim, 0)) else abs(self.value())

    def __invert__(self) -> Any:
        return ~self.value()

    def wrapped(self, size: Size) -> Any:
        """A size of the same trace, as users see it."""
        return SymbolicInt(size, self._owner) if isinstance(size, Dim) else size

    def number(self) -> Any:
        """It as a number that the program computes."""
        return self._owner.number(self.dim)


numbers.Integral.register(SymbolicInt)


def plain(value: Any) -> Any:
    """A size that users gave as the compiler has it; tuples of them too."""
    if isinstance(value, SymbolicInt):
        return value.dim
    return tuple(map(plain, value)) if type(value) is tuple else value


def value_of(size: Size) -> int:
    """The value of a size in this call; the trace holds for no other."""
    if isinstance(size, int):
        return size
    assert state.assumptions is not None, size
    return state.assumptions.fix(size)


def known(value: Any) -> Any:
    """A symbolic size as an int, which is fixed at that; any other value as it is."""
    return value.value() if isinstance(value, SymbolicInt) else value


def _size_of(value: Any) -> Size | None:
    """An operand that is a size: an integer of Python's, or another symbolic one."""
    if isinstance(value, SymbolicInt):
        return value.dim
    return int(value) if isinstance(value, int) else None


def _shown(constraint: Constraint) -> bool:
    """Whether a constraint holds for all sizes."""
    return state.assumptions is not None and state.assumptions.shows(constraint)


Operator = Callable[[Any, Any], Any]


def _quotient(size: Size, other: Size) -> Size | None:
    """size // other, for a divisor of at least 1."""
    return floor_div(size, other) if assume(AtLeast(other, 1)) else None


def _remainder(size: Size, other: Size) -> Size | None:
    return mod(size, other) if assume(AtLeast(other, 1)) else None


def _power(size: Size, other: Size) -> Size | None:
    """size ** other, for a small other that is known."""
    if isinstance(other, int) and 0 <= other <= _MOST_FACTORS:
        return product([size] * other)
    return None


_MOST_FACTORS = 8


def _arithmetic(
    function: Operator, of_sizes: Callable[[Size, Size], Size | None], reflected: bool
) -> Operator:
    """An operator that makes a size of two; where `of_sizes` cannot, their values are needed."""

    def method(self: SymbolicInt, other: Any) -> Any:
        size = _size_of(other)
        if size is None:
            return _computed(function, self, other, reflected)
        made = of_sizes(size, self.dim) if reflected else of_sizes(self.dim, size)
        return _evaluated(function, self, other, reflected) if made is None else self.wrapped(made)

    return method


def _number(function: Operator, reflected: bool) -> Operator:
    """An operator that makes a number which the program computes."""

    def method(self: SymbolicInt, other: Any) -> Any:
        if isinstance(other, SymbolicInt):
            other = other.number()
        return _computed(function, self, other, reflected)

    return method


def _of_values(function: Operator, reflected: bool) -> Operator:
    """An operator on values."""
    return lambda self, other: _evaluated(function, self, other, reflected)


def _computed(function: Operator, self: SymbolicInt, other: Any, reflected: bool) -> Any:
    """The operator on a size as a number of the program, and a number or traced array."""
    if isinstance(other, np.generic):
        return _evaluated(function, self, other, reflected)  # by NumPy's rules
    if not isinstance(other, (int, float, Array)) and not hasattr(other, "weak"):
        return NotImplemented
    return function(other, self.number()) if reflected else function(self.number(), other)


def _evaluated(function: Operator, self: SymbolicInt, other: Any, reflected: bool) -> Any:
    """The operator on the size's value."""
    if not isinstance(other, (int, float, complex, np.generic, SymbolicInt)):
        return NotImplemented
    value, other = known(self), known(other)
    return function(other, value) if reflected else function(value, other)


_HOLDS: dict[str, Callable[[Size], tuple[Size, Size]]] = {
    "lt": lambda less: (-1 * less - 1, less),
    "le": lambda less: (-1 * less, less - 1),
    "gt": lambda less: (less - 1, -1 * less),
    "ge": lambda less: (less, -1 * less - 1),
}
"""Of a - b: what is not negative where a comparison of a and b is true, and where it is false."""


def _comparison(function: Operator) -> Operator:
    def method(self: SymbolicInt, other: Any) -> Any:
        size = _size_of(other)
        if size is None:
            traced = hasattr(other, "weak") or isinstance(other, Array)
            return (_computed if traced else _evaluated)(function, self, other, False)
        for answer, excess in zip((True, False), _HOLDS[function.__name__](self.dim - size)):
            if _shown(AtLeast(excess, 0)):
                return answer
        return _evaluated(function, self, other, False)

    return method


def _equal(self: SymbolicInt, other: Any) -> Any:
    size = _size_of(other)
    if size is None:
        return _evaluated(operator.eq, self, other, False)
    difference = self.dim - size
    if any(_shown(AtLeast(sign * difference, 1)) for sign in (-1, 1)):
        return False
    return assume_equal(self.dim, size) or _evaluated(operator.eq, self, other, False)


def _unequal(self: SymbolicInt, other: Any) -> Any:
    answer = _equal(self, other)
    return answer if answer is NotImplemented else not answer


def _install() -> None:
    sizes: dict[str, Callable[[Size, Size], Size | None]] = {
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "floordiv": _quotient,
        "mod": _remainder,
        "pow": _power,
    }
    for name, of_sizes in sizes.items():
        function = getattr(operator, f"__{name}__")
        setattr(SymbolicInt, f"__{name}__", _arithmetic(function, of_sizes, False))
        setattr(SymbolicInt, f"__r{name}__", _arithmetic(function, of_sizes, True))
    for kind, names in {
        _number: ("truediv",),
        _of_values: ("and", "or", "xor", "lshift", "rshift"),
    }.items():
        for name in names:
            function = getattr(operator, f"__{name}__")
            setattr(SymbolicInt, f"__{name}__", kind(function, False))
            setattr(SymbolicInt, f"__r{name}__", kind(function, True))
    for name in ("lt", "le", "gt", "ge"):
        setattr(SymbolicInt, f"__{name}__", _comparison(getattr(operator, name)))
    SymbolicInt.__eq__ = _equal  # type: ignore[method-assign, assignment]
    SymbolicInt.__ne__ = _unequal  # type: ignore[method-assign, assignment]


_install()
