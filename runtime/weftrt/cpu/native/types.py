"""The types of the native language: what its annotations mean to the reader and to LLVM.

To mypy they are plain Python types; to the translator (weftrt.cpu.native.translate) the names are
LLVM types. A struct is always handled by its address.
"""

from __future__ import annotations

import ast
import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar, cast

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Bool: TypeAlias = bool
U8: TypeAlias = int
I32: TypeAlias = int
I64: TypeAlias = int
F64: TypeAlias = float
Ptr: TypeAlias = Any


class Pointer(Generic[T]):
    """The address of an array of T; for a struct T, of an array of addresses of T."""

    def __getitem__(self, index: int) -> T:
        raise NotImplementedError("native code only")

    def __setitem__(self, index: int, value: T) -> None:
        raise NotImplementedError("native code only")

    def __add__(self, count: int) -> Pointer[T]:
        raise NotImplementedError("native code only")


class Records(Pointer[T]):
    """The address of structs laid out one after the other; indexing gives the address of one."""


class Struct:
    """Base of structs: fields are annotations in order, laid out as C does."""


StructClass: TypeAlias = Any
"""type[Struct], which mypy does not take for hashable."""


@dataclass(frozen=True)
class Inline:
    """The default of a field that is an array inside the struct."""

    length: int


@dataclass(frozen=True)
class Extern:
    """A C function of the process: `result name(arguments)` in LLVM's types."""

    prototype: str

    @property
    def declaration(self) -> str:
        return self.prototype.replace(" ", " @", 1)


@dataclass(frozen=True)
class Static:
    """A zero-initialized global struct."""

    struct: StructClass


def inline(length: int) -> Any:
    """`field: Pointer[I64] = inline(8)`: eight numbers inside the struct."""
    return Inline(length)


def extern(prototype: str) -> Callable[..., Any]:
    """Declare a C function: `extern("ptr PyTuple_New(i64)")`."""
    return cast(Callable[..., Any], Extern(prototype))


S = TypeVar("S", bound=Struct)


def static(struct: type[S]) -> S:
    """A global of this struct, named like the module variable it is assigned to."""
    return cast(S, Static(struct))


def native(function: F) -> F:
    """Mark a function as native code, private to the library."""
    function.__native__ = "private"  # type: ignore[attr-defined]
    return function


def export(function: F) -> F:
    """Mark a function as native code that Python or kernels find through the table of exports."""
    function.__native__ = "exported"  # type: ignore[attr-defined]
    return function


def rare(function: F) -> F:
    """Mark a native function as one that no warm call runs, or that is little of what the call
    does: where LLVM must be quick, it is not optimized."""
    function.__rare__ = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True)
class Type:
    """A native type: its LLVM name and size; what a pointer points to, if that is known."""

    llvm: str
    size: int
    element: Type | None = None
    struct: StructClass = None
    records: bool = False

    @property
    def is_pointer(self) -> bool:
        return self.llvm == "ptr"

    @property
    def is_integer(self) -> bool:
        return self.llvm[0] == "i"


SCALARS = {
    "None": Type("void", 0),
    "Bool": Type("i1", 1),
    "U8": Type("i8", 1),
    "I32": Type("i32", 4),
    "I64": Type("i64", 8),
    "F64": Type("double", 8),
    "Ptr": Type("ptr", 8),
}


def resolve(annotation: ast.expr, names: dict[str, Any]) -> Type:
    """The type that an annotation means in a module."""
    match annotation:
        case ast.Constant(value=None):
            return SCALARS["None"]
        case ast.Name(id=name) if name in SCALARS:
            return SCALARS[name]
        case ast.Name(id=name):
            return Type("ptr", 8, struct=names[name])
        case ast.Subscript(value=ast.Name(id=kind), slice=element):
            return Type("ptr", 8, element=resolve(element, names), records=kind == "Records")
    raise TypeError(f"not a native type: {ast.unparse(annotation)}")


@cache
def parse_annotation(text: str) -> ast.expr:
    """An annotation as written; few differ."""
    return ast.parse(text, mode="eval").body


@dataclass(frozen=True)
class Field:
    """A struct field: where it lies; `length` is 0 unless it is an array inside the struct."""

    offset: int
    type: Type
    length: int = 0


@cache
def fields(struct: StructClass) -> dict[str, Field]:
    """The fields of a struct, in order."""
    names = sys.modules[struct.__module__].__dict__
    result: dict[str, Field] = {}
    offset = 0
    for name, annotation in struct.__annotations__.items():
        kind = SCALARS.get(annotation) or resolve(parse_annotation(annotation), names)
        default = struct.__dict__.get(name)
        length = default.length if isinstance(default, Inline) else 0
        size = kind.element.size if length and kind.element else kind.size
        offset += -offset % size
        result[name] = Field(offset, kind, length)
        offset += size * max(length, 1)
    return result


def size_of(struct: StructClass) -> int:
    """Bytes of a struct, rounded up to eight."""
    last = list(fields(struct).values())[-1]
    size = last.type.element.size if last.length and last.type.element else last.type.size
    return (last.offset + size * max(last.length, 1) + 7) & ~7


_CTYPES: dict[str, Any] = {
    "i8": ctypes.c_uint8,
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "double": ctypes.c_double,
    "ptr": ctypes.c_void_p,
}


@cache
def mirror(struct: StructClass) -> Any:
    """The ctypes.Structure with the layout of a struct, for Python to fill or read."""
    members = []
    for name, field in fields(struct).items():
        kind = field.type.element if field.length and field.type.element else field.type
        base = _CTYPES[kind.llvm]
        members.append((name, base * field.length if field.length else base))
    return type(struct.__name__, (ctypes.Structure,), {"_fields_": members})
