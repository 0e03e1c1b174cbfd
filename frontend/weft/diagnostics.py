"""Errors in the user's words: where it happened, what the operands were, what was expected."""

from __future__ import annotations

import ast
import dataclasses
import dis
import inspect
import linecache
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

import weftc
import weftrt
from weftc.ir.location import Location
from weftrt.errors import DTypeError, WeftError

E = TypeVar("E", bound=BaseException)

_ROOTS = tuple(
    str(Path(path).resolve()) + os.sep
    for path in (Path(__file__).parent, Path(weftc.__file__).parent, Path(weftrt.__file__).parent)
)
_USERS = tuple(str(Path(__file__).parent / name) for name in ("demo.py", "data"))
"""What Weft ships that uses it as its users do."""
_ours: dict[str, bool] = {}
"""Whether a source file belongs to Weft, by the name code objects give it."""


def is_ours(filename: str) -> bool:
    """Whether a source file is part of Weft's machinery."""
    found = _ours.get(filename)
    if found is None:
        path = filename if filename.startswith(_ROOTS) else os.path.realpath(filename)
        found = _ours[filename] = path.startswith(_ROOTS) and not path.startswith(_USERS)
    return found


def user_location() -> Location | None:
    """The innermost place on the stack that is not inside of Weft, NumPy or SciPy."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        passed = _passed.get(code.co_filename)
        if not (_is_passed(code.co_filename) if passed is None else passed):
            return Location(code, frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return None


_passed: dict[str, bool] = {}
"""Whether a source file never holds the line that the user wants to see."""
_LIBRARIES = tuple(
    str(Path(np.__file__).parent.with_name(name)) + os.sep for name in ("numpy", "scipy")
)


def _is_passed(filename: str) -> bool:
    found = _passed[filename] = is_ours(filename) or filename.startswith(_LIBRARIES)
    return found


def called() -> str | None:
    """The name of the function that the user's line calls, without its module."""
    match _expression(user_location()):
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
    return None


def builtin() -> str | None:
    """The name of what the user's line is calling, where it has no module: "range"."""
    at = user_location()
    match _expression(at):
        case ast.Call(func=ast.Name(id=name)) if "CALL" in _operation(at):
            return name
    return None


def indexed() -> str | None:
    """How to read what the user's line reads by an index from an Array: "wf.asarray(x)[i + 1]"."""
    at = user_location()
    match _expression(at):
        case ast.Subscript(value=value) as expression if not _stores(at):
            expression.value = ast.parse(f"wf.asarray({ast.unparse(value)})", mode="eval").body
            return ast.unparse(expression)
    return None


def reads_part() -> bool:
    """Whether the user's line reads a slice: x[i : i + 2]."""
    match _expression(user_location()):
        case ast.Subscript(slice=ast.Slice()) | ast.Subscript(slice=ast.Tuple()):
            return True
    return False


def asks_truth() -> str | None:
    """What the user's line needs the truth of a value for: "and", "or", "not", "<" where several
    comparisons are in one, "while", "assert"; None for another reason."""
    at = user_location()
    inner: ast.AST | None = None
    for node in reversed(_around(at)):
        match node:
            case ast.BoolOp(op=operator):
                return "and" if isinstance(operator, ast.And) else "or"
            case ast.UnaryOp(op=ast.Not()):
                return "not"
            case ast.Compare(ops=[_, _, *_]):
                return "<"
            case ast.While(test=test) if test is inner:
                return "while"
            case ast.Assert():
                return "assert"
            case ast.stmt() | ast.Lambda() | ast.Call() if inner is not None:
                return None
        inner = node
    return None


def _around(at: Location | None) -> list[ast.AST]:
    """The syntax that a place is in, from the outermost; nothing where there is no source."""
    span = at.span() if at is not None else None
    if at is None or span is None:
        return []
    try:
        module = ast.parse("".join(linecache.getlines(at.code.co_filename)))
    except SyntaxError:
        return []
    return [node for node in ast.walk(module) if _holds(node, *span)]


def _holds(node: ast.AST, start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether a piece of syntax has all of the source between two places."""
    if not isinstance(node, (ast.stmt, ast.expr)):
        return False
    last = (node.end_lineno or 0, node.end_col_offset or 0)
    return (node.lineno, node.col_offset) <= start and end <= last


def _stores(at: Location | None) -> bool:
    """Whether a place is an assignment to an element, which is written as the element is."""
    return _operation(at) == "STORE_SUBSCR"


def _operation(at: Location | None) -> str:
    """The instruction at a place: a call is one of several."""
    return dis.opname[at.code.co_code[at.instruction]] if at is not None else ""


def _expression(at: Location | None) -> ast.expr | None:
    """What is evaluated at a place."""
    try:
        return ast.parse(at.resolve()[2], mode="eval").body if at is not None else None
    except SyntaxError:
        return None


def tree_hint(value: Any) -> str:
    """What to do with an object that has parts, for the end of a message."""
    if hasattr(value, "__dlpack__") and hasattr(value, "__array__"):  # PyTorch's, JAX's
        return "; wf.asarray(x) makes an array of it"
    has_parts = dataclasses.is_dataclass(value) or hasattr(value, "__dict__")
    known = isinstance(value, type) or callable(value)
    return "; wf.tree.register makes a tree of its class" if has_parts and not known else ""


def at_path(path: str) -> str:
    """ " at [0]['w']", or nothing for a tree that is one leaf."""
    return f" at {path}" if path else ""


def definition(function: Any) -> Location | None:
    """Where a function of the user is defined."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Location(code, _NOWHERE) if code is not None else None


_NOWHERE = 1 << 30
"""No code is so long; a location there is the line on which the code starts."""


def short_place(location: Location) -> str:
    """str(location) for listings: the path from the working folder, or the last two parts of one
    that is elsewhere."""
    path = Path(location.code.co_filename)
    with suppress(OSError, ValueError):  # no working folder, or a path outside it
        return location.text(str(path.relative_to(Path.cwd())))
    return location.text("/".join(path.parts[-2:]))


def located(kind: type[WeftError], problem: str, at: Location | None = None) -> WeftError:
    """An error of `kind` that starts with "file:line: expression"."""
    place = at if at is not None else user_location()
    error = kind(f"{place}\n  {problem}" if place is not None else problem)
    error.is_located = True
    return error


def as_intended(error: E) -> E:
    """`error`, a builtin one that Weft raises or passes on for a mistake of the user: its traceback
    is not that of a fault of Weft."""
    error.is_intended = True  # type: ignore[attr-defined]
    return error


def relocate(error: WeftError, name: str, operands: Sequence[Any]) -> WeftError:
    """`error`, raised by a rule that knows no source, with the place and the operands added."""
    if error.is_located:
        return error
    _, _, rest = str(error).partition(" ")
    if operands and isinstance(error, DTypeError) and rest.startswith("takes "):
        return located(DTypeError, f"{name} {rest}")  # it names the types; shapes distract
    return located(type(error), f"{describe(name, operands)}: {error}")


def fail(
    kind: type[WeftError],
    name: str,
    operands: Sequence[Any],
    problem: str,
    places: Sequence[int] | None = None,
) -> NoReturn:
    """Raise `kind` for a call of the function `name`; {0}, {1} in `problem` are operand names.

    `places` says which operands of the call these are, if not the first.
    """
    names = operand_names(name, operands, user_location(), places)
    raise located(kind, f"{describe(name, operands, places)}: {problem.format(*names)}")


def describe(name: str, operands: Sequence[Any], places: Sequence[int] | None = None) -> str:
    """ "matmul: x has shape (64, 784) and w has shape (512, 128)"."""
    if not operands:
        return name
    names = operand_names(name, operands, user_location(), places)
    mixed = len({o.dtype for o in operands if not getattr(o, "weak", False)}) > 1
    parts = [_operand(n, o, mixed) for n, o in zip(names, operands, strict=True)]
    return f"{name}: {listed(parts)}"


def listed(parts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), parts[-1]])


def kind_of(value: Any) -> str:
    """ "a str", "an object", "a traced value"."""
    name = "traced value" if hasattr(value, "weak") else type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def _operand(name: str, operand: Any, with_dtype: bool) -> str:
    sizes = getattr(operand, "type", operand).shape
    shape = "(" + ", ".join(map(str, sizes)) + ("," if len(sizes) == 1 else "") + ")"
    return f"{name} has shape {shape}" + (f" and dtype {operand.dtype}" if with_dtype else "")


def operand_names(
    name: str, operands: Sequence[Any], at: Location | None, places: Sequence[int] | None = None
) -> list[str]:
    """What to call the operands: as the source writes them, else by argument, else by number."""
    places = range(len(operands)) if places is None else places
    written = _written(at, name, places) if at is not None else None
    names: list[str] = []
    for position, operand in enumerate(operands):
        node = getattr(operand, "node", None)
        if written is not None:
            names.append(written[position])
        elif node is not None and node.op.name == "input":
            names.append(str(node["name"]))
        else:
            names.append("x" if len(operands) == 1 else f"operand {places[position] + 1}")
    return names


def _written(at: Location, name: str, places: Sequence[int]) -> list[str] | None:
    try:
        expression = ast.parse(at.resolve()[2], mode="eval").body
    except SyntaxError:
        return None
    operands = _operands(expression, name)
    if len(operands) <= max(places):
        return None
    texts = [ast.unparse(operands[place]) for place in places]
    return texts if all(len(text) <= 40 for text in texts) else None


def _operands(expression: ast.expr, name: str) -> list[ast.expr]:
    """The operands of an operator, or of a call of the function or method `name` itself."""
    match expression:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.Compare(left=left, comparators=[right]):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Subscript(value=value):
            return [value]
        case ast.Call(func=ast.Name(id=called), args=arguments) if called == name:
            return _listed(name, arguments)
        case ast.Call(func=ast.Attribute(value=owner, attr=called), args=arguments):
            if called == name:
                module = _is_module(owner)
                return _listed(name, arguments if module else [owner, *arguments])
    return []


def _listed(name: str, arguments: list[ast.expr]) -> list[ast.expr]:
    """The operands among the arguments; the items of the first if it is written as a list."""
    if name == "einsum":
        arguments = arguments[1:]  # the subscripts
    operands = [a for a in arguments if not (isinstance(a, ast.Constant) and a.value is None)]
    first = operands[0] if operands else None
    if isinstance(first, (ast.List, ast.Tuple)):
        operands = list(first.elts)
    starred = (place for place, a in enumerate(operands) if isinstance(a, ast.Starred))
    return operands[: next(starred, None)]


def _is_module(owner: ast.expr) -> bool:
    module = ast.unparse(owner).removeprefix("weft.").removeprefix("wf.")
    return module in ("wf", "weft", "nn", "linalg", "fft")
