"""Every library's functions by NumPy's names, so that a job is written once.

A job takes one of these and returns its function. `nn` has the functions of networks, for which
each library has its own; the names of control flow and of derivatives are JAX's, which Weft has
too. A name that a library lacks is an AttributeError: it cannot do the job.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import weft as wf
from benchmarks import convolution


class Names:
    """A module, and functions that stand before its own."""

    def __init__(self, module: Any, **own: Any) -> None:
        self._module = module
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def layer_norm(xp: Any) -> Callable[..., Any]:
    """For libraries that have none: of the last axis, with a biased variance."""

    def run(x: Any, scale: Any, shift: Any) -> Any:
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return centred / xp.sqrt(variance + 1e-5) * scale + shift

    return run


def attention(softmax: Any, where: Any, transposed: Any) -> Callable[..., Any]:
    """For libraries that have none: softmax(q @ k.T / sqrt(width)) @ v, of (..., length, width);
    `mask` says which places see which."""

    def run(q: Any, k: Any, v: Any, mask: Any) -> Any:
        scores = q @ transposed(k) * (1 / math.sqrt(q.shape[-1]))
        return softmax(where(mask, scores, -1e30), axis=-1) @ v

    return run


def _softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: int = -1) -> Any:
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def _top_k(x: Any, k: int) -> Any:
    return (-np.sort(np.partition(-x, k)[..., :k]),)


def _scatter_add(base: Any, indices: Any, updates: Any) -> Any:
    result = base.copy()
    np.add.at(result, indices, updates)
    return result


def _for_loop(lower: Any, upper: Any, body: Any, state: Any) -> Any:
    for i in range(int(lower), int(upper)):
        state = body(i, state)
    return state


def _while_loop(goes_on: Any, body: Any, state: Any) -> Any:
    while goes_on(state):
        state = body(state)
    return state


def _cond(chosen: Any, yes: Any, no: Any) -> Any:
    return yes() if chosen else no()


def _scan(body: Any, state: Any, xs: Any) -> Any:
    ys = []
    for x in xs:
        state, y = body(state, x)
        ys.append(y)
    return state, np.stack(ys)


NUMPY = Names(
    np,
    nn=SimpleNamespace(
        softmax=_softmax,
        log_softmax=_log_softmax,
        gelu=_gelu,
        relu=lambda x: np.maximum(x, np.float32(0)),
        sigmoid=lambda x: 1 / (1 + np.exp(-x)),
        layer_norm=layer_norm(np),
        attention=attention(_softmax, np.where, np.matrix_transpose),
        **convolution.numpy(),
    ),
    astype=lambda x, dtype: x.astype(dtype),
    argsort=lambda x: np.argsort(x, kind="stable"),
    top_k=_top_k,
    scatter_add=_scatter_add,
    fori_loop=_for_loop,
    while_loop=_while_loop,
    cond=_cond,
    scan=_scan,
    map=wf.tree.map,
)


def weft() -> Names:
    """Weft's."""
    nn = SimpleNamespace(
        **{name: getattr(wf.nn, name) for name in ("softmax", "log_softmax", "gelu", "relu")},
        sigmoid=wf.nn.sigmoid,
        layer_norm=wf.nn.layer_norm,
        attention=attention(wf.nn.softmax, wf.where, wf.matrix_transpose),
        **convolution.weft(),
    )

    def scatter_add(base: Any, indices: Any, updates: Any) -> Any:
        return wf.grad(lambda x: wf.sum(wf.take(x, indices, axis=0) * updates))(base)

    linalg = {"solve_triangular": wf.linalg.solve_triangular, "logsumexp": wf.logsumexp}
    return Names(wf, nn=nn, map=wf.tree.map, scatter_add=scatter_add, **linalg)


def jax(jax: Any) -> Names:
    """JAX's."""
    nn = SimpleNamespace(
        softmax=jax.nn.softmax,
        log_softmax=jax.nn.log_softmax,
        gelu=jax.nn.gelu,
        relu=jax.nn.relu,
        sigmoid=jax.nn.sigmoid,
        layer_norm=layer_norm(jax.numpy),
        attention=attention(jax.nn.softmax, jax.numpy.where, jax.numpy.matrix_transpose),
        **convolution.jax(jax),
    )
    loops = ("fori_loop", "while_loop", "cond", "scan", "top_k")
    return Names(
        jax.numpy,
        nn=nn,
        map=jax.tree_util.tree_map,
        scatter_add=lambda base, indices, updates: base.at[indices].add(updates),
        solve_triangular=jax.scipy.linalg.solve_triangular,
        logsumexp=jax.scipy.special.logsumexp,
        **{name: getattr(jax.lax, name) for name in loops},
        **{name: getattr(jax, name) for name in ("grad", "value_and_grad", "vmap", "hessian")},
    )


def torch(torch: Any) -> Names:
    """PyTorch's, whose reductions take an axis by another name, or give indices too."""
    F = torch.nn.functional
    nn = SimpleNamespace(
        softmax=lambda x, axis=-1: F.softmax(x, axis),
        log_softmax=lambda x, axis=-1: F.log_softmax(x, axis),
        gelu=lambda x: F.gelu(x, approximate="tanh"),
        relu=F.relu,
        sigmoid=torch.sigmoid,
        layer_norm=lambda x, scale, shift: F.layer_norm(x, x.shape[-1:], scale, shift),
        attention=lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask),
        **convolution.torch(torch),
    )

    def extremum(of_all: Any, along: Any) -> Any:
        def run(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return of_all(x) if axis is None else along(x, axis, keepdims)

        return run

    def var(x: Any, axis: Any = None) -> Any:
        return torch.var(x, axis, correction=0)

    return Names(
        torch,
        nn=nn,
        max=extremum(torch.max, torch.amax),
        min=extremum(torch.min, torch.amin),
        var=var,
        astype=lambda x, dtype: x.to(dtype),
        pad=lambda x, widths: F.pad(x, [n for pair in reversed(widths) for n in pair]),
        sort=lambda x: torch.sort(x, stable=True).values,
        argsort=lambda x: torch.argsort(x, stable=True),
        permute_dims=torch.permute,
        take=lambda x, indices, axis: x.index_select(axis, indices),
        top_k=torch.topk,
        scatter_add=lambda base, indices, updates: base.index_add(0, indices, updates),
    )
