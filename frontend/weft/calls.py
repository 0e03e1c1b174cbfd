"""Calls as data: arguments bound, and taken apart into leaves and a structure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from weft import diagnostics, tree
from weft.tracing import (
    INT64,
    SCALAR_DTYPES,
    Tracer,
    apply,
    array_dtype,
    check_rank,
    scalar_item,
)
from weft.tree import Structure
from weftrt import dtypes
from weftrt.array import Array
from weftrt.dtypes import DType
from weftrt.errors import TraceError, UsageError, WeftError
from weftrt.signature import equal

Leaf: TypeAlias = "Array | np.ndarray[Any, Any] | float | int | bool"


class Static:
    """The branch that a static argument is: no leaves, compared by `weftrt.signature.equal`. The
    tuples of a frozen one may have been lists."""

    def __init__(self, value: Any, frozen: bool = False) -> None:
        self.value = value
        self.frozen = frozen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and equal(self.value, other.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


class Number:
    """The branch that a Python complex number is: its parts are two leaves."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts


def parts_of(number: complex) -> tuple[tuple[float, float], None]:
    """A complex number taken apart, as the native guard does it."""
    return (number.real, number.imag), None


def _joined(parts: Sequence[Any]) -> Tracer:
    return apply("complex", *parts, weak=True)


tree.register(Number, lambda number: (number.parts, None), lambda _, parts: _joined(parts))
tree.register(Static, lambda static: ((), static), lambda static, children: static.value)


@dataclass(frozen=True)
class Place:
    """An axis of a leaf of a call."""

    leaf: int
    axis: int


class Example(np.ndarray[Any, Any]):
    """An array that stands for those of other sizes too: `names` are the symbols of its axes."""

    names: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class Call:
    """One call, its arguments bound to parameters as far as they can be: `structure` is that of
    (args, kwargs) with static arguments inside; `leaves` are arrays and Python scalars, and `names`
    what to call them. `indirect` says which arguments the native guard cannot take, and why;
    `donated` numbers the leaves that are Arrays which the caller gives up; `named` are sizes that
    stand for any."""

    structure: Structure
    leaves: tuple[Leaf, ...]
    names: tuple[str, ...]
    indirect: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    donated: tuple[int, ...] = ()
    named: Mapping[Place, str] = field(default_factory=dict)

    def statics(self) -> list[Any]:
        """The values of the static arguments."""
        found: list[Any] = []
        pending = [self.structure]
        while pending:
            part = pending.pop()
            pending += part.children
            if part.kind is Static:
                found.append(part.extra.value)
        return found


def _names_of_sizes(leaves: Sequence[Any]) -> dict[Place, str]:
    """The names that sizes of examples have."""
    return {
        Place(number, axis): name
        for number, leaf in enumerate(leaves)
        if type(leaf) is Example
        for axis, name in leaf.names.items()
    }


class Reader:
    """Takes calls of one function apart. Parameters are `static`, `donated`, or neither.

    `freeze` is for Weft's own functions: their static lists are compared as tuples.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        static: Sequence[str],
        freeze: bool,
        donated: Sequence[str] = (),
    ) -> None:
        self._parameters = parameters = _parameters(function)
        self._static = frozenset(static)
        self._donated = frozenset(donated)
        self._freeze = freeze
        self._name = getattr(function, "__name__", repr(function))
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._positional = [name for name, p in parameters.items() if p.kind in kinds]
        own = _own_parameters(function) if hasattr(function, "__wrapped__") else parameters
        self.bindable = tuple(
            name if p.kind is kinds[1] else None for name, p in own.items() if p.kind in kinds
        )
        rest = (n for n, p in parameters.items() if p.kind is inspect.Parameter.VAR_POSITIONAL)
        self._rest = next(rest, "argument")
        self.check(self._static, "static")
        self.check(self._donated, "donated")
        if both := self._static & self._donated:
            problem = f"{self._name}: {min(both)} is static, so there is nothing to donate"
            raise diagnostics.located(UsageError, problem)

    def check(self, names: Iterable[str], kind: str) -> None:
        """UsageError if these are no parameters, which should be of a kind."""
        parameters = self._parameters
        variadic = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        unknown = set(names) - set(parameters)
        if unknown and not variadic:
            problem = f"{self._name} has no parameter {min(map(repr, unknown))} to be {kind}"
            raise diagnostics.located(UsageError, problem)

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Take a call apart; errors name the argument."""
        try:
            return self._read(args, kwargs)
        except (RecursionError, tree.TooDeep):
            problem = f"the arguments of {self._name} are nested too deep, or contain themselves"
            raise diagnostics.located(UsageError, problem) from None
        except WeftError:
            self._check_binding(args, kwargs)  # what the user would hear of first
            raise

    def _check_binding(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """TypeError, in Python's words, if the function does not take such arguments."""
        try:
            inspect.Signature(list(self._parameters.values())).bind(*args, **kwargs)
        except TypeError as error:
            if self._parameters:
                problem = TypeError(f"{self._name}() {error}")
                raise diagnostics.as_intended(problem) from None

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        found: list[tuple[str, Any]] = []
        args, kwargs = self._bound(args, kwargs)
        parts = [
            self._part(self._positional_name(position), value, found)
            for position, value in enumerate(args)
        ]
        keys = tuple(sorted(kwargs))
        keywords = [self._part(key, kwargs[key], found) for key in keys]
        structure = Structure(
            tuple,
            (0, 1),
            (
                Structure(tuple, tuple(range(len(args))), tuple(parts)),
                Structure(dict, keys, tuple(keywords)),
            ),
        )
        return Call(
            structure,
            leaves=tuple(self._leaf(name, leaf) for name, leaf in found),
            names=tuple(name for name, _ in found),
            indirect=tuple(f"{name} {why}" for name, leaf in found if (why := indirect(leaf))),
            shapes=tuple(getattr(leaf, "shape", ()) for _, leaf in found),
            donated=self._donations(found) if self._donated else (),
            named=_names_of_sizes([leaf for _, leaf in found]),
        )

    def _donations(self, found: Sequence[tuple[str, Any]]) -> tuple[int, ...]:
        """The numbers of the arrays that are given up; UsageError if one is not Weft's."""
        given = [(n, name, leaf) for n, (name, leaf) in enumerate(found) if self._gives(name)]
        for _, name, leaf in given:
            if isinstance(leaf, np.ndarray):
                problem = f"{self._what(name)} is donated, but NumPy keeps the memory of an ndarray"
                raise diagnostics.located(UsageError, f"{problem}; pass wf.asarray({name})")
        return tuple(number for number, _, leaf in given if isinstance(leaf, Array))

    def _gives(self, name: str) -> bool:
        return root(name) in self._donated

    def _bound(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Keywords as positional arguments, up to the first parameter that is not given: f(x, 2) is
        f(x, rate=2) is f(rate=2, x=x). The native guard does the same."""
        rest = dict(kwargs)
        for name in self.bindable[len(args) :] if kwargs else ():
            if name is None or name not in rest:
                break
            args = (*args, rest.pop(name))
        return args, rest

    def _positional_name(self, position: int) -> str:
        named = len(self._positional)
        return (
            self._positional[position] if position < named else f"{self._rest}[{position - named}]"
        )

    def _part(self, name: str, value: Any, leaves: list[tuple[str, Any]]) -> Structure:
        """The structure of an argument; its leaves are appended, with what to call them."""
        if name in self._static or root(name) in self._static:
            return self._static_part(name, value)
        found, structure = tree.flatten_with_paths(value)
        if any(map(_is_no_leaf, (leaf for _, leaf in found))):
            found, structure = tree.flatten_with_paths(tree.map(_pinned, value))
        leaves += ((name + path, leaf) for path, leaf in found)
        return structure

    def _static_part(self, name: str, value: Any) -> Structure:
        frozen = _frozen(value) if self._freeze else value
        try:
            hash(frozen)
        except TypeError:
            what = (
                f"the static argument {name} of {self._name}"
                if not self._freeze
                else (f"{self._name}: {name}")
            )
            asked = "must be hashable"
            if self._freeze and isinstance(value, (Array, np.ndarray)):
                asked = "is a constant of the program"
            problem = f"{what} {asked}, not {diagnostics.kind_of(value)}"
            raise diagnostics.located(UsageError, problem) from None
        return Structure(Static, (), (), Static(frozen, self._freeze))

    def _leaf(self, name: str, leaf: Any) -> Leaf:
        if isinstance(leaf, (Array, np.ndarray)):
            array_dtype(leaf, self._what(name))
            check_rank(leaf.ndim, self._what(name))
            return leaf if isinstance(leaf, Array) else np.asarray(leaf)
        if isinstance(leaf, np.generic):
            number = scalar_item(leaf)
            if type(number) not in SCALAR_DTYPES:
                array_dtype(leaf, self._what(name))
            return self._leaf(name, number)
        if type(leaf) not in SCALAR_DTYPES:
            raise self._not_a_leaf(name, leaf)
        return leaf  # type: ignore[no-any-return]

    def _what(self, name: str) -> str:
        return f"{self._name}: {name}" if self._freeze else f"the argument {name} of {self._name}"

    def _not_a_leaf(self, name: str, leaf: Any) -> Exception:
        problem = f"{self._what(name)} is {diagnostics.kind_of(leaf)}, "
        if isinstance(leaf, Tracer):
            problem += "and its trace has ended; return it from the function instead"
        elif self._freeze:
            problem += "not an array or a number"
        elif isinstance(leaf, _STATIC_KINDS) or callable(leaf):
            problem += "no array; "
            problem += _make_static(name)
        else:
            problem += "not an array, a number, or a tuple, list or dict of them"
            problem += diagnostics.tree_hint(leaf)
        return diagnostics.located(TraceError, problem)


def _make_static(name: str) -> str:
    """What to do with a value to branch on: an argument, or part of one."""
    parameter = root(name)
    if name == parameter:
        return f"name it in wf.jit(..., static_argnames={parameter!r})"
    return f"pass it beside {parameter}, by an argument that wf.jit(..., static_argnames=...) names"


def _parameters(
    function: Callable[..., Any], follow_wrapped: bool = True
) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped).parameters
    except (TypeError, ValueError):
        return {}


def _own_parameters(wrapper: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Those that a wrapper has itself: one of (*args, **kwargs) may tell positions from keywords,
    whatever it shows."""
    shown = "__signature__" in getattr(wrapper, "__dict__", ())
    return {} if shown else _parameters(wrapper, follow_wrapped=False)


def _is_beyond(leaf: Any) -> bool:
    """Whether a leaf is an integer that no run-time argument holds."""
    if isinstance(leaf, np.generic):
        leaf = scalar_item(leaf)
    return type(leaf) is int and not INT64[0] <= leaf <= INT64[1]


def _pinned(leaf: Any) -> Any:
    """Integers beyond int64 as static values: the trace sees the number itself. Complex numbers as
    their parts."""
    if _is_complex(leaf):
        return Number(parts_of(complex(leaf))[0])
    return Static(int(leaf)) if _is_beyond(leaf) else leaf


def _is_complex(leaf: Any) -> bool:
    return type(leaf) is complex or isinstance(leaf, np.complexfloating)


def _is_no_leaf(leaf: Any) -> bool:
    return _is_beyond(leaf) or _is_complex(leaf)


def root(name: str) -> str:
    """The parameter that a leaf belongs to."""
    return re.split(r"[.\[]", name, maxsplit=1)[0]


_STATIC_KINDS = (str, bytes, DType, Enum, ModuleType)
"""Values that people pass to be branched on."""


def indirect(leaf: Any) -> str | None:
    """Why the native guard cannot take an argument as it is; None where it can."""
    if not isinstance(leaf, np.ndarray):
        return None
    known = leaf.dtype.isnative and dtypes.from_numpy(leaf.dtype) is not None
    if type(leaf) is np.ndarray and known:
        return None
    return f"is a {leaf.dtype.str} {type(leaf).__name__}"


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that a shape or axes argument can be compared later."""
    if isinstance(value, (list, tuple)):
        items = tuple(_frozen(item) for item in value)
        same = type(value) is tuple and all(a is b for a, b in zip(items, value, strict=True))
        return value if same else items
    return value
