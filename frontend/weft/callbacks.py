"""Calls of Python functions from compiled programs, in the order in which they were written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from weft import diagnostics, tree
from weft.ops import core
from weft.promotion import dtype_of
from weft.symbolic import SymbolicInt
from weft.tracing import SCALAR_DTYPES, Tracer, effect, lift, scalar_item, state
from weft.tree import Structure
from weftc.ir.location import Location
from weftc.ir.opdef import HostFunction
from weftc.ir.sizes import Shape
from weftc.transforms import pairs
from weftrt import array
from weftrt.array import Array
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError, WeftError

Host: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class ShapeDtypeStruct:
    """The shape and the dtype of an array that there is not yet."""

    shape: tuple[int, ...]
    dtype: Any


def callback(function: Callable[..., Any], result_types: Any, /, *args: Any) -> Any:
    """What `function`, which is not traced, gives for `args` when the program runs.

    It is called once for each run of this line, in order with all other callbacks and checks, with
    `args`, in which arrays are NumPy's, copies of its own, and numbers are Python's. It gives back
    a tree of arrays or numbers like `result_types`, whose leaves have a `shape` and a `dtype`:
    arrays, or wf.ShapeDtypeStruct(shape, dtype). With result_types=None it gives nothing back.

    What it raises ends the program and comes out as it is, with a note of this line. ShapeError,
    DTypeError or UsageError if it gives back something else. Gradients do not pass: differentiate
    around it with wf.stop_gradient.
    """
    if not callable(function):
        problem = f"callback takes a function, not {diagnostics.kind_of(function)}"
        raise diagnostics.located(UsageError, problem)
    return call(function, "wf.callback", result_types, args, {})


def call(
    function: Callable[..., Any],
    caller: str,
    result_types: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """`function(*args, **kwargs)` where the program runs, or now if no trace is open. `caller` is
    what the user calls this."""
    given, arguments = tree.flatten((args, kwargs))
    leaves = [scalar_item(leaf) if isinstance(leaf, np.generic) else leaf for leaf in given]
    arrays = {place: leaf for place, leaf in enumerate(leaves) if isinstance(leaf, _ARRAYS)}
    types, results = _declared(caller, result_types)
    called = _Called(
        function,
        caller,
        diagnostics.user_location(),
        [None if place in arrays else leaf for place, leaf in enumerate(leaves)],
        {place: _is_number(leaf) for place, leaf in arrays.items()},
        arguments,
        types,
        results,
    )
    if state.trace is None:
        produced = called(*map(_numpy, arrays.values()))
        return results.unflatten([array.from_numpy(item) for item in produced])
    shapes = tuple((t.dtype, t.shape) for t in types)
    operands = [lift(leaf) for leaf in arrays.values()]
    called.stored = [operand.dtype for operand in operands]
    traced = effect("callback", *operands, function=HostFunction(called), types=shapes)
    return results.unflatten(traced)


_ARRAYS = (Tracer, Array, np.ndarray, SymbolicInt)
"""What a program hands over: its values, and sizes that it knows when it runs."""


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, SymbolicInt) or getattr(leaf, "weak", False)


def _numpy(item: Any) -> Host:
    return array.to_numpy(item) if isinstance(item, Array) else np.asarray(item)


@dataclass(frozen=True)
class _Type:
    """A result: its dtype and shape, and its path in the tree of results."""

    dtype: DType
    shape: Shape
    path: str


def _declared(caller: str, result_types: Any) -> tuple[list[_Type], Structure]:
    found, structure = tree.flatten_with_paths(result_types)
    return [_type(caller, path, leaf) for path, leaf in found], structure


def _type(caller: str, path: str, leaf: Any) -> _Type:
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        problem = (
            f"{caller}: result_types{path} has a shape and a dtype, as arrays and "
            f"wf.ShapeDtypeStruct(shape, dtype) have; it is {leaf!r:.40}"
        )
        raise diagnostics.located(UsageError, problem)
    return _Type(dtype_of(leaf.dtype), core.shape_of(caller, leaf.shape), path)


@dataclass(eq=False)
class _Called:
    """A user's function as programs call it: arrays in, and arrays of the declared types out. The
    arrays belong at `places` among the `leaves` of its arguments, some of them as numbers."""

    function: Callable[..., Any]
    caller: str
    at: Location | None
    leaves: list[Any]
    places: dict[int, bool]
    arguments: Structure
    types: Sequence[_Type]
    results: Structure
    stored: Sequence[DType] | None = None
    """What the arrays are, if a program hands them over, and is given some, as they are stored."""

    def __post_init__(self) -> None:
        kind = type(self.function)
        self.__qualname__ = getattr(self.function, "__qualname__", kind.__qualname__)

    def __call__(self, *arrays: Any) -> list[Host]:
        leaves = list(self.leaves)
        given: list[Host] = [np.array(_numpy(item)) for item in arrays]
        if self.stored is not None:
            given = list(map(pairs.from_stored, given, self.stored))
        for (place, is_number), value in zip(self.places.items(), given, strict=True):
            leaves[place] = value.item() if is_number else value
        args, kwargs = self.arguments.unflatten(leaves)
        try:
            result = self.function(*args, **kwargs)
        except BaseException as error:
            self._note(error)
            raise
        produced = self._checked(result)
        return produced if self.stored is None else list(map(pairs.as_stored, produced))

    def _note(self, error: BaseException) -> None:
        """Say where the call stands, if the error does not."""
        note = f"in {self.__qualname__}, called by {self.caller} at {self.at}"
        known = (str(error), *getattr(error, "__notes__", ()))
        if self.at is not None and not any(str(self.at) in text for text in known):
            error.add_note(note)

    def _checked(self, result: Any) -> list[Host]:
        found, structure = tree.flatten(result)
        if structure != self.results:
            where, wanted, other = tree.difference(self.results, structure, "an array")
            place = diagnostics.at_path(where)
            raise self._wrong(UsageError, f"{other}{place}, but result_types says {wanted}")
        return [self._array(t, leaf) for t, leaf in zip(self.types, found, strict=True)]

    def _array(self, declared: _Type, leaf: Any) -> Host:
        """A result as an array of its declared type; a Python number takes the dtype."""
        plain = type(leaf) in SCALAR_DTYPES
        if not plain and not isinstance(leaf, (Array, np.ndarray, np.generic)):
            what = diagnostics.kind_of(leaf) + diagnostics.at_path(declared.path)
            raise self._wrong(UsageError, f"{what}, which is no array")
        value = np.asarray(leaf, declared.dtype.dtype) if plain else _numpy(leaf)
        if value.dtype != declared.dtype.dtype:
            raise self._wrong(DTypeError, self._differs(declared, value))
        if value.shape != declared.shape and all(type(size) is int for size in declared.shape):
            raise self._wrong(ShapeError, self._differs(declared, value))
        return value

    def _differs(self, declared: _Type, value: Host) -> str:
        place = diagnostics.at_path(declared.path)
        given = f"an array of dtype {value.dtype} and shape {value.shape}{place}"
        return f"{given}, but result_types says {declared.dtype} and {declared.shape}"

    def _wrong(self, kind: type[WeftError], problem: str) -> WeftError:
        text = f"{self.caller}: {self.__qualname__} gives {problem}"
        return diagnostics.located(kind, text, self.at)
