"""Planting a fault: one piece of a function's source is replaced while a test runs."""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from types import FunctionType


@contextmanager
def planted(place: str, right: str, wrong: str) -> Iterator[None]:
    """While open, the function `place` ("package.module:Class.name") has `wrong` in the one place
    of its source where `right` stands. Its code object is exchanged, so that every reference to
    the function, in tables and imported names too, is affected. What either code has found is
    forgotten."""
    function = _function(place)
    before = function.__code__
    function.__code__ = _changed(function, right, wrong).__code__
    _forget()
    try:
        yield
    finally:
        function.__code__ = before
        _forget()


def _forget() -> None:
    """Empty the caches of the compiler's functions."""
    for name, module in list(sys.modules.items()):
        for found in vars(module).values() if name.startswith("weftc.") else ():
            if hasattr(found, "cache_clear"):
                found.cache_clear()


def _function(place: str) -> FunctionType:
    module, path = place.split(":")
    found = inspect.unwrap(attrgetter(path)(importlib.import_module(module)))
    assert isinstance(found, FunctionType), place
    return found


def _changed(function: FunctionType, right: str, wrong: str) -> FunctionType:
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(right) == 1, (
        f"{function.__qualname__} has changed: write the fault in tests/faults/stages that "
        f"replaces {right!r} anew for\n{source}"
    )
    (definition,) = ast.parse(source.replace(right, wrong)).body
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    names: dict[str, FunctionType] = {}
    flags = __future__.annotations.compiler_flag
    code = compile(ast.Module([definition], []), "<fault>", "exec", flags, dont_inherit=True)
    exec(code, function.__globals__, names)
    return names[definition.name]
