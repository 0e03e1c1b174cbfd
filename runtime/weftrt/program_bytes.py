"""A Program as bytes, for the cache and for files.

After a line with the version and one with the length of the header comes the header, JSON of
[program, lengths of its kernels' texts], and then these texts. A record in the JSON is an object
with one name and a list: {"Jump": [3]}.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import accumulate
from typing import Any, get_args

from weftrt import dtypes, errors, program, size_expressions
from weftrt.dtypes import DType
from weftrt.errors import WeftError
from weftrt.program import Program, Role
from weftrt.size_expressions import SizeOp

_RECORDS: tuple[type[Any], ...] = (
    *get_args(program.Instruction),
    program.ArraySpec,
    program.BufferUse,
    program.KernelCode,
    program.LaunchUse,
    program.Program,
    program.Site,
    program.Temporary,
    size_expressions.SizeCheck,
    size_expressions.SizeSlot,
)
_FIELDS = {record: [field.name for field in fields(record)] for record in _RECORDS}
_FORM = [(record.__name__, *names) for record, names in _FIELDS.items()]
VERSION = b"weft program 1 %08x\n" % zlib.crc32(repr(_FORM).encode())
"""Another one for each change of what follows it: of a record, or, by its number, of the rest."""
_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, WeftError)
}
_READERS: dict[str, Callable[..., Any]] = {
    **{record.__name__: record for record in _RECORDS},
    "DType": dtypes.by_name,
    "Role": Role,
    "SizeOp": SizeOp,
    "error": _ERRORS.__getitem__,
}


def to_bytes(program: Program) -> bytes:
    """The program as bytes."""
    texts = [kernel.llvm.encode() for kernel in program.kernels]
    symbols = tuple(replace(kernel, llvm="") for kernel in program.kernels)
    content = [replace(program, kernels=symbols), list(map(len, texts))]
    header = json.dumps(content, default=_object, separators=(",", ":")).encode()
    return b"".join([VERSION, b"%d\n" % len(header), header, *texts])


def from_bytes(data: bytes) -> Program:
    """The program that to_bytes made these of; ValueError where it did not, or where it was of
    another version."""
    if not data.startswith(VERSION):
        raise ValueError("these bytes are no program of this version")
    length, _, rest = data.removeprefix(VERSION).partition(b"\n")
    try:
        header, texts = rest[: int(length)], rest[int(length) :]
        found, lengths = json.loads(header, object_hook=_read)
        pairs = zip(found.kernels, _cut(texts, lengths), strict=True)
        kernels = tuple(replace(kernel, llvm=text.decode()) for kernel, text in pairs)
        program: Program = replace(found, kernels=kernels)
        return program
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"these bytes are no program: {error}") from None


def _object(value: object) -> dict[str, list[Any]]:
    """What JSON has no form for."""
    names = _FIELDS.get(type(value))
    if names is not None:
        return {type(value).__name__: [getattr(value, name) for name in names]}
    if isinstance(value, DType):
        return {"DType": [value.name]}
    if isinstance(value, (Role, SizeOp)):
        return {type(value).__name__: [value.value]}
    assert isinstance(value, type)
    return {"error": [value.__name__]}


def _read(value: dict[str, list[Any]]) -> Any:
    [(name, arguments)] = value.items()
    return _READERS[name](*map(_tuples, arguments))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _cut(texts: bytes, lengths: list[int]) -> list[bytes]:
    """Texts of these lengths, which are all that there is."""
    if min(lengths, default=0) < 0 or sum(lengths) != len(texts):
        raise ValueError("the kernels' texts are not all there")
    return [texts[end - length : end] for end, length in zip(accumulate(lengths), lengths)]
