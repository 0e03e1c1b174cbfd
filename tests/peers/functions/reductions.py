"""Reductions, sorts and what is made of them, in torch's signatures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tests.peers.unexpressed import Unexpressed

import weft as wf

Function = Callable[..., Any]


def reduced(function: Function) -> Function:
    """A reduction by torch's names of its parameters; no axes are all of them."""

    def run(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        return function(x, axis=axes(x, dim), keepdims=keepdim)

    return run


def axes(x: Any, dim: Any) -> Any:
    """torch takes no axes for all of them, and axis 0 of a scalar for none."""
    if dim == () or not x.ndim:
        return None
    return tuple(dim) if isinstance(dim, (tuple, list)) else dim


def count(x: Any, dim: Any) -> int:
    """How many elements are reduced to one."""
    found = axes(x, dim)
    found = range(x.ndim) if found is None else found if isinstance(found, tuple) else (found,)
    return math.prod(x.shape[axis] for axis in found)


def spread(function: Function) -> Function:
    """`var` or `std`; the second argument may be `unbiased`, an older name of the correction."""

    def run(
        x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, **named: Any
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        correction = named.get("correction", int(unbiased))
        correction = 1 if correction is None else correction
        if count(x, dim) <= correction:
            raise Unexpressed("fewer elements than are corrected for")
        return function(x, axis=axes(x, dim), correction=correction, keepdims=keepdim)

    return run


def extremum(values: Function, both: Function) -> Function:
    """`max` or `min`: of all, along an axis, or of two arrays."""

    def run(x: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        second = dim if other is None else other
        if second is not None and not isinstance(second, int):
            return both(x, second)
        if dim is None:
            return values(x)
        return chosen(values is wf.max)(x, dim, keepdim)

    return run


def chosen(largest: bool) -> Function:
    """The extremum along an axis, the gradient to the one that has the index."""

    def run(x: Any, dim: int, keepdim: bool) -> Any:
        if not x.ndim:
            return x + 0
        index = (wf.argmax if largest else wf.argmin)(x, axis=dim, keepdims=True)
        hot = wf.one_hot(wf.squeeze(index, axis=dim), x.shape[dim], axis=dim, dtype=wf.bool)
        return wf.sum(wf.where(hot, x, 0.0), axis=dim, keepdims=keepdim)

    return run


def standard_norm(
    x: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Any:
    if p == "nuc":
        return wf.linalg.matrix_norm(x, ord="nuc", keepdims=keepdim)
    order = 2 if p in ("fro", None) else p
    return wf.linalg.vector_norm(x, axis=axes(x, dim), ord=order, keepdims=keepdim)


def vector_norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    return wf.linalg.vector_norm(x, axis=axes(x, dim), ord=ord, keepdims=keepdim)


def ordered(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    return wf.sort(x, axis=dim, descending=descending) if x.ndim else x + 0


def top(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    if not x.ndim:
        return x + 0
    return wf.top_k(x, k, axis=dim)[0] if largest else -wf.top_k(-x, k, axis=dim)[0]


def kth(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    if not x.ndim:
        return x + 0
    found = wf.take(wf.sort(x, axis=dim), wf.asarray([k - 1]), axis=dim)
    return found if keepdim else wf.squeeze(found, axis=dim)


def median(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    if not x.ndim:
        return x + 0
    if dim is None:
        return kth(wf.reshape(x, (-1,)), (x.size + 1) // 2)
    return kth(x, (x.shape[dim] + 1) // 2, dim, keepdim)


def running(function: Function) -> Function:
    """One of all elements so far."""
    return lambda x, dim, **_: function(x, axis=dim) if x.ndim else x + 0


def distance(x: Any, y: Any, p: float = 2) -> Any:
    return wf.linalg.vector_norm(wf.reshape(x - y, (-1,)), ord=p)


def zero_for_nan(x: Any) -> Any:
    return wf.where(wf.isnan(x), 0.0, x)


def nanmean(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    total = reduced(wf.sum)(zero_for_nan(x), dim, keepdim)
    return total / reduced(wf.sum)(wf.astype(~wf.isnan(x), wf.float64), dim, keepdim)


def with_mean(function: Function) -> Function:
    def run(
        x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, **named: Any
    ) -> Any:
        own = spread(function)(x, dim, unbiased, keepdim, **named)
        return own, reduced(wf.mean)(x, None if isinstance(dim, bool) else dim, keepdim)

    return run


def difference(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    ends = {} if n == 0 else {"prepend": prepend, "append": append}
    return wf.diff(x, n, dim, **ends)


TABLE: dict[str, Function] = {
    "amax": reduced(wf.max),
    "amin": reduced(wf.min),
    "aminmax": lambda x, *, dim=None, keepdim=False: (
        reduced(wf.min)(x, dim, keepdim),
        reduced(wf.max)(x, dim, keepdim),
    ),
    "cummax": running(wf.cummax),
    "cummin": running(wf.cummin),
    "cumprod": running(wf.cumprod),
    "cumsum": running(wf.cumsum),
    "diff": difference,
    "dist": distance,
    "kthvalue": kth,
    "linalg.vector_norm": vector_norm,
    "logcumsumexp": running(wf.logcumsumexp),
    "logsumexp": reduced(wf.logsumexp),
    "max": extremum(wf.max, wf.maximum),
    "mean": reduced(wf.mean),
    "median": median,
    "min": extremum(wf.min, wf.minimum),
    "msort": lambda x: ordered(x, 0),
    "nanmean": nanmean,
    "nansum": lambda x, *args, **named: reduced(wf.sum)(zero_for_nan(x), *args, **named),
    "norm": standard_norm,
    "prod": reduced(wf.prod),
    "sort": ordered,
    "std": spread(wf.std),
    "std_mean": with_mean(wf.std),
    "sum": reduced(wf.sum),
    "topk": top,
    "var": spread(wf.var),
    "var_mean": with_mean(wf.var),
}
