"""Names that users of NumPy, JAX and PyTorch try first, and what they are called here."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from weft import diagnostics

_FUNCTIONS = {
    "absolute": "abs",
    "adaptive_avg_pool1d": "nn.adaptive_avg_pool",
    "adaptive_avg_pool2d": "nn.adaptive_avg_pool",
    "adaptive_avg_pool3d": "nn.adaptive_avg_pool",
    "adaptive_max_pool1d": "nn.adaptive_max_pool",
    "adaptive_max_pool2d": "nn.adaptive_max_pool",
    "adaptive_max_pool3d": "nn.adaptive_max_pool",
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
    "avg_pool1d": "nn.avg_pool",
    "avg_pool2d": "nn.avg_pool",
    "avg_pool3d": "nn.avg_pool",
    "batch_normalization": "nn.batch_norm",
    "binary_cross_entropy": "nn.binary_cross_entropy_with_logits",
    "binary_crossentropy": "nn.binary_cross_entropy_with_logits",
    "bitwise_not": "bitwise_invert",
    "cast": "astype",
    "cat": "concat",
    "categorical_crossentropy": "nn.cross_entropy",
    "cho_factor": "linalg.cholesky",
    "cho_solve": "linalg.solve_triangular",
    "cholesky_solve": "linalg.solve_triangular",
    "clamp": "clip",
    "concatenate": "concat",
    "conv1d": "nn.conv",
    "conv2d": "nn.conv",
    "conv3d": "nn.conv",
    "conv_general_dilated": "nn.conv",
    "conv_transpose1d": "nn.conv_transpose",
    "conv_transpose2d": "nn.conv_transpose",
    "conv_transpose3d": "nn.conv_transpose",
    "convolution": "nn.conv",
    "cumlogsumexp": "logcumsumexp",
    "debug_callback": "callback",
    "depthwise_conv2d": "nn.conv",
    "detach": "stop_gradient",
    "diag": "linalg.diagonal",
    "div": "divide",
    "dot": "matmul",
    "embedding_lookup": "nn.embedding",
    "eq": "equal",
    "expand": "broadcast_to",
    "expit": "sigmoid",
    "fix": "trunc",
    "flatten": "reshape",
    "from_numpy": "asarray",
    "gather": "take",
    "ge": "greater_equal",
    "group_normalization": "nn.group_norm",
    "gt": "greater",
    "hard_swish": "nn.hard_silu",
    "hardsigmoid": "nn.hard_sigmoid",
    "hardswish": "nn.hard_silu",
    "hardtanh": "nn.hard_tanh",
    "hstack": "concat",
    "huber": "nn.huber_loss",
    "identity": "eye",
    "inner": "vecdot",
    "interpolate": "nn.resize",
    "inverse": "linalg.inv",
    "invert": "bitwise_invert",
    "io_callback": "callback",
    "jacobian": "jacrev",
    "kl_div": "nn.kl_divergence",
    "l2_loss": "nn.squared_error",
    "layer_normalization": "nn.layer_norm",
    "le": "less_equal",
    "leaves_with_path": "tree.flatten_with_paths",
    "left_shift": "bitwise_left_shift",
    "logdet": "linalg.slogdet",
    "logsigmoid": "nn.log_sigmoid",
    "lp_pool2d": "nn.l2_pool",
    "lt": "less",
    "lu_factor": "linalg.lu",
    "lu_solve": "linalg.solve",
    "map_with_path": "tree.flatten_with_paths",
    "matrix_exp": "linalg.expm",
    "max_pool1d": "nn.max_pool",
    "max_pool2d": "nn.max_pool",
    "max_pool3d": "nn.max_pool",
    "mod": "remainder",
    "moveaxis": "permute_dims",
    "mul": "multiply",
    "ndarray": "Array",
    "ne": "not_equal",
    "neg": "negative",
    "nll_loss": "nn.negative_log_likelihood",
    "norm": "linalg.vector_norm",
    "normalize": "nn.l2_normalize",
    "partition": "sort",
    "permute": "permute_dims",
    "pmap": "vmap",
    "power": "pow",
    "prelu": "nn.leaky_relu",
    "product": "prod",
    "pure_callback": "callback",
    "ravel": "reshape",
    "reduce_window": "nn.windows",
    "remat": "checkpoint",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "rms_normalization": "nn.rms_norm",
    "sigmoid_binary_cross_entropy": "nn.binary_cross_entropy_with_logits",
    "sliding_window_view": "nn.windows",
    "soft_sign": "nn.softsign",
    "softmax_cross_entropy": "nn.cross_entropy",
    "sparse_categorical_crossentropy": "nn.cross_entropy",
    "standardize": "nn.layer_norm",
    "sub": "subtract",
    "swapaxes": "permute_dims",
    "swish": "nn.silu",
    "tensor": "asarray",
    "topk": "top_k",
    "tree_flatten": "tree.flatten",
    "tree_leaves": "tree.leaves",
    "tree_map": "tree.map",
    "tree_unflatten": "tree.unflatten",
    "tree_util": "tree",
    "triangular_solve": "linalg.solve_triangular",
    "true_divide": "divide",
    "unfold": "nn.windows",
    "unsqueeze": "expand_dims",
    "upsample": "nn.resize",
    "value_and_gradient": "value_and_grad",
    "view": "reshape",
    "vstack": "concat",
}
_IDIOMS = {
    "allclose": ("allclose(x, y)", "wf.all(wf.abs(x - y) <= 1e-8 + 1e-5 * wf.abs(y))"),
    "average": ("average(x, axis=0)", "wf.mean(x, axis=0)"),
    "count_nonzero": ("count_nonzero(x)", "wf.sum(x != 0)"),
    "hypot": ("hypot(x, y)", "wf.sqrt(x * x + y * y)"),
    "isclose": ("isclose(x, y)", "wf.abs(x - y) <= 1e-8 + 1e-5 * wf.abs(y)"),
    "l1_loss": ("l1_loss(x, y)", 'wf.nn.absolute_error(x, y, reduction="mean")'),
    "logaddexp": ("logaddexp(x, y)", "wf.maximum(x, y) + wf.log1p(wf.exp(-wf.abs(x - y)))"),
    "mean_absolute_error": (
        "mean_absolute_error(x, y)",
        'wf.nn.absolute_error(x, y, reduction="mean")',
    ),
    "mean_squared_error": (
        "mean_squared_error(x, y)",
        'wf.nn.squared_error(x, y, reduction="mean")',
    ),
    "mse_loss": ("mse_loss(x, y)", 'wf.nn.squared_error(x, y, reduction="mean")'),
    "random": ("random.random(n)", "np.random.default_rng().random(n), and pass it as an argument"),
    "repeat": ("repeat(x, 2, axis=0)", "x[wf.arange(2 * x.shape[0]) // 2]"),
    "roll": ("roll(x, n, axis=0)", "wf.concat([x[-n:], x[:-n]])"),
    "split": ("split(x, [1, 3], axis=1)[1]", "x[:, 1:3]"),
    "take_along_axis": ("take_along_axis(x, i, axis=1)", "x[wf.arange(x.shape[0])[:, None], i]"),
    "tile": ("tile(x, (2, 1))", "wf.concat([x, x])"),
    "tril": ("tril(x)", "wf.where(wf.arange(x.shape[0])[:, None] >= wf.arange(x.shape[1]), x, 0)"),
    "triu": ("triu(x)", "wf.where(wf.arange(x.shape[0])[:, None] <= wf.arange(x.shape[1]), x, 0)"),
}
"""What to write for calls of theirs that have no function here."""
_MODULES = {"lax": "scan", "numpy": "sum", "jnp": "sum", "autograd": "grad", "func": "vmap"}
"""Modules of theirs whose functions are in Weft itself, with one that is."""
_METHODS = {
    "at": "for x.at[i].set(v) write wf.where(wf.arange(n) == i, v, x)",
    "backward": "wf.grad(f) is the function of the gradient of f",
    "block_until_ready": "a result is there when a call returns",
    "copy": "arrays are immutable, so that x is its own copy",
    "cpu": "x is there already",
    "numpy": "np.asarray(x) is NumPy's array of its elements",
    "to": "for another dtype write x.astype(dtype)",
}
"""What to write for methods of theirs that are no functions here."""
_KEYWORDS = {
    "a_max": "max",
    "a_min": "min",
    "axes": "axis",
    "ddof": "correction",
    "dim": "axis",
    "dims": "axes",
    "eps": "epsilon",
    "interpolation": "method",
    "is_stable": "stable",
    "keepdim": "keepdims",
    "kind": "stable",
    "max_": "max",
    "min_": "min",
    "mode": "method",
    "newshape": "shape",
    "num_groups": "groups",
    "p": "rate",
    "pos_weight": "positive_weight",
    "reverse": "descending",
    "size": "shape",
    "static_argnums": "static_argnames",
    "unbiased": "correction",
}
_TOO_MANY = re.compile(r"(?:.*\.)?(\w+)\(\) takes .*positional arguments? but \d+ w\w+ given$")
_UNEXPECTED = re.compile(r"(?:.*\.)?(\w+)\(\) got an unexpected keyword argument '(\w+)'$")


def missing(module: str, known: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module that has the names `known`: an error that says what else to
    write."""

    def __getattr__(name: str) -> Any:
        hint = "" if name.startswith("__") else function_hint(name, known, module)
        error = AttributeError(f"module 'weft.{module}' has no attribute {name!r}{hint}", name=name)
        raise diagnostics.as_intended(error)

    return __getattr__


def listed(known: Iterable[str]) -> Callable[[], list[str]]:
    """The `__dir__` of a module that has the names `known`: what it is made with is left out."""
    return lambda: sorted(known)


def function_hint(name: str, known: Iterable[str], module: str = "") -> str:
    """ "; did you mean wf.concat?", "; for count_nonzero(x) write wf.sum(x != 0)", or nothing."""
    if name in _IDIOMS:
        call, instead = _IDIOMS[name]
        return f"; for {call} write {instead}"
    if name in _MODULES:
        return f"; what it has is in Weft itself, as wf.{_MODULES[name]} is"
    meant = _FUNCTIONS.get(name) or _qualified(name) or _resembled(name, known, module)
    return f"; did you mean wf.{meant}?" if meant else ""


def method_hint(name: str) -> str:
    """ "; write wf.cumsum(x, ...)" for a method that arrays do not have, or nothing."""
    if name in _METHODS:
        return f"; {_METHODS[name]}"
    ours = counterpart(name)
    return f"; write wf.{ours}(x, ...)" if ours else ""


def _qualified(name: str) -> str | None:
    """ "linalg.inv" for "inv", "exp" for "exp"; None for what no module of ours has."""
    if name in importlib.import_module("weft.ops").__all__:
        return name
    homes = ("nn", "linalg", "fft")
    has = (home for home in homes if name in importlib.import_module(f"weft.{home}").__all__)
    home = next(has, None)
    return home and f"{home}.{name}"


def _resembled(name: str, known: Iterable[str], module: str) -> str | None:
    """What was misspelled. A name that NumPy has is spelled well, and means something else."""
    near = [] if name in dir(np) else difflib.get_close_matches(name, known, 1, 0.75)
    return ".".join(filter(None, (module, *near))) if near else None


def counterpart(name: str) -> str | None:
    """What a function of `math`, NumPy or SciPy is called here; None if it is not here."""
    meant = _FUNCTIONS.get(name, name)
    if "." in meant:
        return None if meant.startswith("tree.") else meant
    return _qualified(meant)


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
