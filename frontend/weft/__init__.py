"""Weft: NumPy-style Python functions as a few fused native kernels.

    import weft as wf

    @wf.jit
    def predict(x, w, b):
        return wf.nn.softmax(x @ w + b)

This module is the Array API namespace (2024.12) and the transforms; see `wf.jit` and `wf.grad`.
Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from weftrt.dtypes import (
    DType,
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    int32,
    int64,
    uint8,
    uint32,
    uint64,
)

if TYPE_CHECKING:
    from weft import debug, errors, fft, linalg, nn, tree
    from weft.associative import associative_scan
    from weft.callbacks import ShapeDtypeStruct, callback
    from weft.control import cond, switch
    from weft.jitting import jit
    from weft.loops import fori_loop, map, scan, while_loop
    from weft.ops import *  # noqa: F403
    from weft.transforms.checkpoint import checkpoint
    from weft.transforms.custom import custom_jvp, custom_vjp
    from weft.transforms.forward import hvp, jvp, linearize
    from weft.transforms.jacobian import hessian, jacfwd, jacrev
    from weft.transforms.mapping import vmap
    from weft.transforms.reverse import grad, stop_gradient, value_and_grad, vjp
    from weftrt.array import Array

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

bool = bool_
e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None
pi = 3.141592653589793

_LAZY = {
    "Array": "weftrt.array",
    "ShapeDtypeStruct": "weft.callbacks",
    "associative_scan": "weft.associative",
    "callback": "weft.callbacks",
    "jit": "weft.jitting",
    "grad": "weft.transforms.reverse",
    "value_and_grad": "weft.transforms.reverse",
    "vjp": "weft.transforms.reverse",
    "stop_gradient": "weft.transforms.reverse",
    "jvp": "weft.transforms.forward",
    "linearize": "weft.transforms.forward",
    "hvp": "weft.transforms.forward",
    "checkpoint": "weft.transforms.checkpoint",
    "custom_vjp": "weft.transforms.custom",
    "custom_jvp": "weft.transforms.custom",
    "jacfwd": "weft.transforms.jacobian",
    "jacrev": "weft.transforms.jacobian",
    "hessian": "weft.transforms.jacobian",
    "vmap": "weft.transforms.mapping",
    "cond": "weft.control",
    "switch": "weft.control",
    "while_loop": "weft.loops",
    "fori_loop": "weft.loops",
    "scan": "weft.loops",
    "map": "weft.loops",
}
"""Where public names live that are no array functions."""
_ARRAY_MODULES = ("debug", "fft", "linalg", "nn")

__all__ = [
    "Array",
    "DType",
    "ShapeDtypeStruct",
    "associative_scan",
    "bool",
    "callback",
    "checkpoint",
    "complex64",
    "complex128",
    "cond",
    "custom_jvp",
    "custom_vjp",
    "debug",
    "e",
    "errors",
    "fft",
    "float32",
    "float64",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "inf",
    "int32",
    "int64",
    "jacfwd",
    "jacrev",
    "jit",
    "jvp",
    "linalg",
    "linearize",
    "map",
    "nan",
    "newaxis",
    "nn",
    "pi",
    "scan",
    "stop_gradient",
    "switch",
    "tree",
    "uint8",
    "uint32",
    "uint64",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]


def __array_namespace_info__() -> Any:
    """What this namespace has: capabilities, dtypes, devices (Array API 2024.12)."""
    return importlib.import_module("weft.namespace").Info()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module 'weft' has no attribute {name!r}")
    if name not in _ARRAY_MODULES and find_spec(f"weft.{name}") is not None:
        return importlib.import_module(f"weft.{name}")
    importlib.import_module("weftrt.knobs").check()  # here: imports would bury its error
    value = _loaded(name)
    globals()[name] = value
    return value


def _loaded(name: str) -> Any:
    """A name that needs the array type; its operators are installed first. The native runtime, if
    it must be compiled, is so while the compiler's modules come in."""
    importlib.import_module("weftrt.cpu.native.library").begin()
    importlib.import_module("weftc.pipeline")
    importlib.import_module("weft.operators")
    public = importlib.import_module("weft.boundary").public
    globals()["__getattr__"] = public(__getattr__)  # from now on errors show no frames of ours
    if name in _ARRAY_MODULES:
        return importlib.import_module(f"weft.{name}")
    if name in _LAZY:
        return public(getattr(importlib.import_module(_LAZY[name]), name), __name__)
    functions = importlib.import_module("weft.ops")
    if name not in functions.__all__:
        hint = importlib.import_module("weft.names").function_hint(name, __dir__())
        error = AttributeError(f"module 'weft' has no attribute {name!r}{hint}")
        raise importlib.import_module("weft.diagnostics").as_intended(error)
    return public(getattr(functions, name), __name__)


def __dir__() -> list[str]:
    return sorted({*__all__, *importlib.import_module("weft.ops").__all__})
