"""Names that users of NumPy, JAX and PyTorch try first, and what they are called here."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

_FUNCTIONS = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arcsin": "asin",
    "arctan": "atan",
    "arctan2": "atan2",
    "argpartition": "top_k",
    "array": "asarray",
    "as_tensor": "asarray",
    "astensor": "asarray",
    "bitwise_not": "bitwise_invert",
    "cat": "concat",
    "clamp": "clip",
    "concatenate": "concat",
    "cumlogsumexp": "logcumsumexp",
    "debug_callback": "callback",
    "detach": "stop_gradient",
    "div": "divide",
    "dot": "matmul",
    "eq": "equal",
    "expand": "broadcast_to",
    "fix": "trunc",
    "flatten": "reshape",
    "from_numpy": "asarray",
    "gather": "take",
    "ge": "greater_equal",
    "gt": "greater",
    "hstack": "concat",
    "identity": "eye",
    "inner": "vecdot",
    "invert": "bitwise_invert",
    "io_callback": "callback",
    "le": "less_equal",
    "left_shift": "bitwise_left_shift",
    "lt": "less",
    "mod": "remainder",
    "moveaxis": "permute_dims",
    "mul": "multiply",
    "ndarray": "Array",
    "ne": "not_equal",
    "neg": "negative",
    "partition": "sort",
    "permute": "permute_dims",
    "power": "pow",
    "product": "prod",
    "pure_callback": "callback",
    "ravel": "reshape",
    "repeat": "broadcast_to",
    "right_shift": "bitwise_right_shift",
    "sub": "subtract",
    "swapaxes": "permute_dims",
    "tensor": "asarray",
    "tile": "broadcast_to",
    "topk": "top_k",
    "true_divide": "divide",
    "unsqueeze": "expand_dims",
    "value_and_gradient": "value_and_grad",
    "view": "reshape",
    "vstack": "concat",
    **{name: f"nn.{name}" for name in ("relu", "silu", "gelu", "softmax", "log_softmax")},
    **{name: f"nn.{name}" for name in ("layer_norm", "cross_entropy")},
    **{name: f"fft.{name}" for name in ("ifft", "rfft", "irfft", "fft2", "ifft2", "fftn", "ifftn")},
    **{name: f"fft.{name}" for name in ("fftfreq", "rfftfreq", "fftshift", "ifftshift")},
}
_IDIOMS = {
    "allclose": ("allclose(x, y)", "wf.all(wf.abs(x - y) <= 1e-8 + 1e-5 * wf.abs(y))"),
    "count_nonzero": ("count_nonzero(x)", "wf.sum(x != 0)"),
    "diagonal": ("diagonal(x)", "x[wf.arange(x.shape[0]), wf.arange(x.shape[0])]"),
    "hypot": ("hypot(x, y)", "wf.sqrt(x * x + y * y)"),
    "isclose": ("isclose(x, y)", "wf.abs(x - y) <= 1e-8 + 1e-5 * wf.abs(y)"),
    "norm": ("linalg.norm(x)", "wf.sqrt(wf.sum(x * x))"),
    "random": ("random.random(n)", "np.random.default_rng().random(n), and pass it as an argument"),
    "roll": ("roll(x, n, axis=0)", "wf.concat([x[-n:], x[:-n]])"),
    "take_along_axis": ("take_along_axis(x, i, axis=1)", "x[wf.arange(x.shape[0])[:, None], i]"),
    "tril": ("tril(x)", "wf.where(wf.arange(x.shape[0])[:, None] >= wf.arange(x.shape[1]), x, 0)"),
    "triu": ("triu(x)", "wf.where(wf.arange(x.shape[0])[:, None] <= wf.arange(x.shape[1]), x, 0)"),
}
"""What to write for calls of NumPy's that have no function here."""
_KEYWORDS = {
    "a_max": "max",
    "a_min": "min",
    "axes": "axis",
    "ddof": "correction",
    "dim": "axis",
    "dims": "axes",
    "eps": "epsilon",
    "is_stable": "stable",
    "keepdim": "keepdims",
    "kind": "stable",
    "max_": "max",
    "min_": "min",
    "newshape": "shape",
    "reverse": "descending",
    "size": "shape",
    "static_argnums": "static_argnames",
    "unbiased": "correction",
}
_TOO_MANY = re.compile(r"(?:.*\.)?(\w+)\(\) takes .*positional arguments? but \d+ w\w+ given$")
_UNEXPECTED = re.compile(r"(?:.*\.)?(\w+)\(\) got an unexpected keyword argument '(\w+)'$")


def function_hint(name: str, known: Iterable[str]) -> str:
    """ "; did you mean wf.concat?", "; for count_nonzero(x) write wf.sum(x != 0)", or nothing."""
    if name in _IDIOMS:
        call, instead = _IDIOMS[name]
        return f"; for {call} write {instead}"
    meant = _FUNCTIONS.get(name) or next(iter(difflib.get_close_matches(name, known, 1, 0.75)), "")
    return f"; did you mean wf.{meant}?" if meant else ""


def counterpart(name: str) -> str | None:
    """What a function of `math` or NumPy is called here; None if it is not here."""
    meant = _FUNCTIONS.get(name, name)
    functions = sys.modules["weft.ops"].__all__
    return meant if meant in functions or meant.startswith(("nn.", "fft.")) else None


def argument_hint(message: str, find: Callable[[str], Any]) -> str:
    """What else to write, for Python's message about the arguments of one of our functions, which
    `find` gives by its name (or None)."""
    return _keyword_hint(message, find) or _position_hint(message, find)


def _position_hint(message: str, find: Callable[[str], Any]) -> str:
    """Which arguments are given by keyword only."""
    found = _TOO_MANY.match(message)
    function = find(found[1]) if found else None
    if function is None:
        return ""
    parameters = inspect.signature(function).parameters.values()
    named = [f"{p.name}=" for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    return f"; by keyword it takes {', '.join(named)}" if named else ""


def _keyword_hint(message: str, find: Callable[[str], Any]) -> str:
    """Another keyword."""
    found = _UNEXPECTED.match(message)
    function = find(found[1]) if found else None
    if found is None or function is None:
        return ""
    parameters = inspect.signature(function).parameters
    named = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.POSITIONAL_ONLY]
    meant = _KEYWORDS.get(found[2])
    if meant not in named:
        meant = next(iter(difflib.get_close_matches(found[2], named, 1)), None)
    takes = ", ".join(f"{name}=" for name in named)
    other = f"; it takes {takes}" if takes else "; its arguments have no names"
    return f"; did you mean {meant}=?" if meant else other
