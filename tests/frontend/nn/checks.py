"""What every function of `wf.nn` is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tests.bits import assert_same_bits

import weft as wf

Function = Callable[..., Any]
STEP = 1e-6


def check(function: Function, reference: Function, *args: Any, tolerance: float = 1e-6) -> None:
    """In float64 the values of `reference` and gradients with the slope of finite differences; in
    float32 the same values, roughly; eager and compiled bits are equal, and those of maps and of
    loops over the rows of the first argument."""
    wide = [np.asarray(a, "f8") if np.asarray(a).dtype.kind == "f" else a for a in args]
    narrow = [np.asarray(a, "f4") if np.asarray(a).dtype.kind == "f" else a for a in args]
    expected = wf.tree.leaves(reference(*wide))
    for given, close in ((wide, 1e-12), (narrow, tolerance)):
        found = wf.tree.leaves(compiled(function, *given))
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert np.shape(one) == np.shape(other)
            np.testing.assert_allclose(one, other, rtol=close, atol=close)
    check_slopes(function, *wide)
    check_map(function, *narrow)


def compiled(function: Function, *args: Any) -> Any:
    """What a compiled call gives, as ndarrays; an eager one has the same bits."""
    found, eager = wf.jit(function)(*args), function(*map(wf.asarray, args))
    for one, other in zip(wf.tree.leaves(found), wf.tree.leaves(eager), strict=True):
        assert_same_bits(np.asarray(one), np.asarray(other))
    return wf.tree.map(np.asarray, found)


def check_slopes(function: Function, *args: Any) -> None:
    """Gradients by all floats among the arguments, against finite differences, and in the other
    direction against a jvp."""
    places = tuple(i for i, a in enumerate(args) if np.asarray(a).dtype.kind == "f")
    random = np.random.default_rng(3)
    outputs = wf.tree.leaves(wf.tree.map(np.asarray, function(*args)))
    weights = [random.standard_normal(np.shape(leaf)) for leaf in outputs]

    def total(*args: Any) -> Any:
        leaves = wf.tree.leaves(function(*args))
        return sum(wf.sum(leaf * w) for leaf, w in zip(leaves, weights))  # type: ignore[arg-type]

    gradients = wf.jit(wf.grad(total, argnums=places))(*args)
    value = wf.jit(total)
    for place, gradient in zip(places, gradients):
        direction = random.standard_normal(np.shape(args[place]))
        ends = [_moved(args, place, sign * STEP * direction) for sign in (1, -1)]
        slope = (float(value(*ends[0])) - float(value(*ends[1]))) / (2 * STEP)
        along = float(np.sum(np.asarray(gradient) * direction))
        np.testing.assert_allclose(along, slope, rtol=1e-5, atol=1e-7)
        tangents = [np.zeros_like(args[i]) if i != place else direction for i in places]
        floats = tuple(args[i] for i in places)
        _, tangent = wf.jvp(_of(total, args, places), floats, tuple(tangents))
        np.testing.assert_allclose(float(tangent), along, rtol=1e-9, atol=1e-12)


def _of(function: Function, args: Sequence[Any], places: Sequence[int]) -> Function:
    """`function` of its arguments at `places` alone."""

    def run(*given: Any) -> Any:
        return function(*(given[places.index(i)] if i in places else a for i, a in enumerate(args)))

    return run


def _moved(args: Sequence[Any], place: int, step: Any) -> list[Any]:
    return [a + step if i == place else a for i, a in enumerate(args)]


def check_map(function: Function, x: Any, *rest: Any) -> None:
    """A map over two of `x`, on another axis too, has the bits of two calls."""
    pair = np.stack([x, x[::-1] if np.ndim(x) else -x])
    looped = [function(row, *rest) for row in pair]
    axes = (None,) * len(rest)
    for stacked, axis in ((pair, 0), (np.moveaxis(pair, 0, -1), -1)):
        mapped = wf.vmap(function, in_axes=(axis, *axes))(stacked, *rest)
        for number, alone in enumerate(looped):
            pairs = zip(wf.tree.leaves(mapped), wf.tree.leaves(alone), strict=True)
            for whole, part in pairs:
                assert_same_bits(np.asarray(whole)[number], np.asarray(part))


def check_peer(function: Function, peer: Function, *args: Any) -> None:
    """In float64 what PyTorch gives for the same arrays, and its gradient by the first."""
    import torch

    tensors = [torch.tensor(np.asarray(a)) for a in args]
    first = tensors[0].requires_grad_()
    expected = peer(*tensors)
    np.testing.assert_allclose(
        np.asarray(function(*args)), expected.detach().numpy(), rtol=1e-12, atol=1e-12
    )
    random = np.random.default_rng(4).standard_normal(tuple(expected.shape))
    (slopes,) = torch.autograd.grad((expected * torch.tensor(random)).sum(), first)
    found = wf.grad(lambda *args: wf.sum(function(*args) * random))(*args)
    np.testing.assert_allclose(np.asarray(found), slopes.numpy(), rtol=1e-7, atol=1e-10)
