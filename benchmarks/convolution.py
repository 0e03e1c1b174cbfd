"""Convolution and pooling by the names of each library: NCHW, of two axes, by positions
(x, weight, stride, padding, groups) and (x, window, stride, padding)."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft as wf

Functions = dict[str, Any]


def numpy() -> Functions:
    """By windows and products; gradients by loops over the taps."""
    return {
        "conv": _conv,
        "conv_gradients": _conv_gradients,
        "max_pool": lambda x, *how: _windows(x, *how, -np.inf).max((-2, -1)),
        "avg_pool": lambda x, *how: _windows(x, *how).mean((-2, -1)),
    }


def _windows(x: Any, window: int, stride: int, padding: int, fill: float = 0.0) -> Any:
    width = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x, width, constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, (window, window), (2, 3))
    return found[:, :, ::stride, ::stride]


def _grouped(x: Any, groups: int, axis: int) -> Any:
    return x.reshape(*x.shape[:axis], groups, -1, *x.shape[axis + 1 :])


def _conv(x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
    seen = _grouped(_windows(x, w.shape[-1], stride, padding), groups, 1)
    found = np.einsum("ngcyxkl,gockl->ngoyx", seen, _grouped(w, groups, 0), optimize=True)
    return found.reshape(x.shape[0], w.shape[0], *found.shape[3:])


def _conv_gradients(x: Any, w: Any, g: Any, stride: int, padding: int, groups: int) -> Any:
    """By x, whose every tap is added where it was read, and by w."""
    seen = _grouped(_windows(x, w.shape[-1], stride, padding), groups, 1)
    sent, kernel = _grouped(g, groups, 1), _grouped(w, groups, 0)
    by_w = np.einsum("ngcyxkl,ngoyx->gockl", seen, sent, optimize=True).reshape(w.shape)
    by_x = np.zeros((*x.shape[:2], *(n + 2 * padding for n in x.shape[2:])), x.dtype)
    split, rows = _grouped(by_x, groups, 1), [n * stride for n in g.shape[2:]]
    for k, l in np.ndindex(*w.shape[2:]):
        part = np.einsum("ngoyx,goc->ngcyx", sent, kernel[..., k, l], optimize=True)
        split[..., k : k + rows[0] : stride, l : l + rows[1] : stride] += part
    last = [padding + n for n in x.shape[2:]]
    return by_x[:, :, padding : last[0], padding : last[1]], by_w


def weft() -> Functions:
    """Weft's own."""

    def conv(x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        return wf.nn.conv(x, w, stride=stride, padding=padding, groups=groups)

    def conv_gradients(x: Any, w: Any, g: Any, *options: int) -> Any:
        _, pull = wf.vjp(lambda x, w: conv(x, w, *options), x, w)
        return pull(g)

    def pool(function: Any) -> Any:
        return lambda x, window, stride, padding: function(
            x, window, stride=stride, padding=padding
        )

    return {
        "conv": conv,
        "conv_gradients": conv_gradients,
        "max_pool": pool(wf.nn.max_pool),
        "avg_pool": pool(wf.nn.avg_pool),
    }


def torch(torch: Any) -> Functions:
    """PyTorch's, whose gradients are an operator."""
    F = torch.nn.functional

    def conv_gradients(x: Any, w: Any, g: Any, stride: int, padding: int, groups: int) -> Any:
        pair = [stride] * 2, [padding] * 2, [1, 1]
        return torch.ops.aten.convolution_backward(
            g, x, w, None, *pair, False, [0, 0], groups, [True, True, False]
        )[:2]

    return {
        "conv": lambda x, w, stride, padding, groups: F.conv2d(
            x, w, None, stride, padding, 1, groups
        ),
        "conv_gradients": conv_gradients,
        "max_pool": F.max_pool2d,
        "avg_pool": F.avg_pool2d,
    }


def jax(jax: Any) -> Functions:
    """JAX's, by its general primitives."""

    def conv(x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        return jax.lax.conv_general_dilated(
            x, w, (stride,) * 2, ((padding,) * 2,) * 2, feature_group_count=groups
        )

    def conv_gradients(x: Any, w: Any, g: Any, *options: int) -> Any:
        _, pull = jax.vjp(lambda x, w: conv(x, w, *options), x, w)
        return pull(g)

    def pool(x: Any, start: float, function: Any, window: int, stride: int, padding: int) -> Any:
        sizes, steps = (1, 1, window, window), (1, 1, stride, stride)
        width = ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2)
        return jax.lax.reduce_window(x, start, function, sizes, steps, width)

    return {
        "conv": conv,
        "conv_gradients": conv_gradients,
        "max_pool": lambda x, *how: pool(x, -np.inf, jax.lax.max, *how),
        "avg_pool": lambda x, *how: pool(x, 0.0, jax.lax.add, *how) / how[0] ** 2,
    }
