"""What people pass to transforms and scans by mistake: one message, with the line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf
from weft.errors import DTypeError, ShapeError, TraceError, UsageError, WeftError

X = np.ones(3, "f4")
WIDE = np.ones(3)
COUNTS = np.array([1, 2])
LOOP: list[Any] = [X]
LOOP.append(LOOP)
DEEP: Any = X
for _ in range(300):
    DEEP = [DEEP]

ARGNUMS = (wf.grad, wf.value_and_grad, wf.jacfwd, wf.jacrev, wf.hessian)
Mistake = tuple[Callable[[], Any], type[WeftError], str]


def turn(body: Callable[..., Any], init: Any = 0.0, **given: Any) -> Any:
    return wf.scan(body, init, **{"xs": X, **given})


CARRIES: list[Mistake] = [
    (
        lambda: turn(lambda c, x: (c * 0.5, x), COUNTS),
        DTypeError,
        r"scan: the carry changes its type:\n    init is int64\[2\]\n    body returns float32\[2\]",
    ),
    (
        lambda: turn(lambda c, x: (c + WIDE, x), X),
        DTypeError,
        r"init is float32\[3\]\n    body returns float64\[3\]",
    ),
    (
        lambda: turn(lambda c, x: (wf.stack([c, c]), x)),
        ShapeError,
        r"init is a Python float\n    body returns float32\[2\]",
    ),
    (
        lambda: turn(lambda c, x: ((c, c), x)),
        UsageError,
        r"scan: the carry changes its structure:\n.*\n    body returns \(float32\[\], f",
    ),
    (
        lambda: wf.fori_loop(0, 3, lambda i, c: c * 0.5, COUNTS),
        DTypeError,
        "fori_loop: the state changes its type",
    ),
    (
        lambda: wf.while_loop(lambda c: c[0] < 9, lambda c: c * 1.5, COUNTS),
        DTypeError,
        "while_loop: the state changes its type",
    ),
    (
        lambda: wf.grad(lambda a: turn(lambda c, x: (wf.stack([c, c]), x), a)[0])(1.0),
        ShapeError,
        r"the carry changes its type:\n    init is a Python float",
    ),
    (lambda: turn(lambda c, x: c + x), UsageError, r"not a pair of the carry and a y"),
    (lambda: turn(lambda c, x: (c, x, x)), UsageError, r"not a pair of the carry and a y"),
    (lambda: turn(lambda c, x: (c, "y")), TraceError, r"body returns a str at \[1\] \('y'\)"),
    (lambda: turn(lambda c, x: (LOOP, x)), UsageError, "nested more than 250 deep, or contains"),
]
ROWS: list[Mistake] = [
    (
        lambda: turn(lambda c, x: (c, x), xs=(X, X[:2])),
        ShapeError,
        r"xs\[0\] has 3 rows, but xs\[1\] has 2",
    ),
    (lambda: turn(lambda c, x: (c, x), length=4), ShapeError, "length is 4, but xs has 3"),
    (
        lambda: turn(lambda c, x: (c, c), xs=None),
        UsageError,
        "there is no array in xs to take rows of; length says how often",
    ),
    (lambda: turn(lambda c, x: (c, c), xs=None, length=-1), ShapeError, "the size -1 is negative"),
    (
        lambda: turn(lambda c, x: (c, c), xs=None, length=1.5),
        ShapeError,
        "a size is an integer, not 1.5",
    ),
    (
        lambda: wf.jit(lambda n: turn(lambda c, x: (c, c), xs=None, length=n))(COUNTS[0]),
        TraceError,
        "a Python integer from a traced value",
    ),
    (lambda: wf.map(lambda row: row, 3.0), ShapeError, "xs is a Python float, which has no rows"),
]
AUX: list[Mistake] = [
    (
        lambda transform=transform: transform(lambda x: (x[0] * x[0], object()), has_aux=True)(X),
        TraceError,
        r"returns an object at .*\[1\]",
    )
    for transform in ARGNUMS
]
AUX += [
    (
        lambda: wf.vjp(lambda x: (x, np.sin), X, has_aux=True),
        TraceError,
        r"the function under vjp returns an ufunc at \[1\]",
    ),
    (
        lambda: wf.jvp(lambda x: (x, object()), (X,), (X,), has_aux=True),
        TraceError,
        r"the function under jvp returns an object at \[1\]",
    ),
    (
        lambda: wf.linearize(lambda x: (x, object()), X, has_aux=True),
        TraceError,
        r"the function under linearize returns an object at \[1\]",
    ),
    (
        lambda: wf.grad(lambda x: x.sum(), has_aux=True)(X),
        UsageError,
        r"grad with has_aux needs a function that returns \(value, anything\)",
    ),
]
NUMBERS: list[Mistake] = [
    mistake
    for transform in ARGNUMS
    for mistake in (
        (
            lambda transform=transform: transform(wf.sum, argnums=1)(X),
            UsageError,
            f"{transform.__name__}: argnums names argument 1, but 1 were passed by position",
        ),
        (
            lambda transform=transform: transform(wf.sum, argnums=-2)(X),
            UsageError,
            "argnums names argument -2",
        ),
        (
            lambda transform=transform: transform(wf.add, argnums=(0, 1, -1))(X, X),
            UsageError,
            f"{transform.__name__}: argnums names argument 1 twice",
        ),
        (
            lambda transform=transform: transform(wf.sum, argnums="x"),
            UsageError,
            "argnums is the number of an argument or a tuple of them, not 'x'",
        ),
        (
            lambda transform=transform: transform(wf.sum, argnums=True),
            UsageError,
            "argnums is the number of an argument or a tuple of them, not True",
        ),
        (
            lambda transform=transform: transform(wf.sum)(COUNTS),
            DTypeError,
            f"{transform.__name__}: argument 0 is int64; only floats have derivatives",
        ),
    )
]
MAPS: list[Mistake] = [
    (
        lambda: wf.vmap(wf.add)(X, WIDE[:2]),
        ShapeError,
        "sizes differ: argument 0 has 3 along axis 0, but argument 1 has 2 along axis 0",
    ),
    (
        lambda: wf.vmap(lambda p: p["a"])({"a": X, "b": X[:2]}),
        ShapeError,
        r"argument 0\['a'\] has 3 along axis 0, but argument 0\['b'\] has 2",
    ),
    (
        lambda: wf.vmap(wf.sin, axis_size=4)(X),
        ShapeError,
        "axis_size is 4, but argument 0 has 3",
    ),
    (lambda: wf.vmap(lambda: 1.0)(), UsageError, "there is nothing to map: no argument"),
    (lambda: wf.vmap(lambda a: a * 2)(3.0), UsageError, "there is nothing to map: no argument"),
    (lambda: wf.vmap(wf.sin, in_axes=None)(X), UsageError, "there is nothing to map"),
    (
        lambda: wf.vmap(wf.sin)(np.ones((), "f4")),
        ShapeError,
        r"argument 0 is float32\[\], which has no axis 0 to map",
    ),
    (lambda: wf.vmap(wf.sin, axis_size=-1), UsageError, "axis_size is the number of elements"),
    (lambda: wf.vmap(wf.sin, in_axes="a"), UsageError, "in_axes holds axes"),
    (
        lambda: wf.vmap(lambda t: t, in_axes=(LOOP,))(X),
        UsageError,
        "nested more than 250 deep, or contains",
    ),
    (lambda: wf.vmap(lambda x: "s")(X), TraceError, "returns a str"),
    (
        lambda: wf.vmap(wf.max)(np.ones((3, 0), "f4")),
        ShapeError,
        "max of no elements",
    ),
]
DIRECTIONS: list[Mistake] = [
    (
        lambda: wf.hvp(wf.sum, (X,), (X[:2],)),
        ShapeError,
        r"hvp: the tangent of argument 0 has shape \(2,\), the primal \(3,\)",
    ),
    (
        lambda: wf.jvp(wf.sin, (X,), (1.0,)),
        ShapeError,
        r"jvp: the tangent of argument 0 has shape \(\), the primal \(3,\)",
    ),
    (
        lambda: wf.linearize(wf.sin, X)[1](WIDE),
        DTypeError,
        "linearize: the tangent of argument 0 is float64, the primal float32",
    ),
    (
        lambda: wf.vjp(wf.sin, X)[1](X[:2]),
        ShapeError,
        r"vjp: the cotangent has shape \(2,\), the value \(3,\)",
    ),
    (
        lambda: wf.vjp(lambda x: {"a": (x, x)}, X)[1]({"a": X}),
        UsageError,
        r"vjp: the cotangent at \['a'\] is an array, but the value is \(\*, \*\)",
    ),
    (
        lambda: wf.grad(lambda a: wf.while_loop(lambda y: y < 9, lambda y: y * 2, a))(2.0),
        TraceError,
        "grad: a loop has no gradient .*: reverse mode needs every state",
    ),
]
DEPTH: list[Mistake] = [
    (
        lambda call=call, tree=tree: call(tree),
        UsageError,
        "nested (too|more than 250) deep, or contain",
    )
    for tree in (DEEP, LOOP)
    for call in (
        wf.jit(lambda t: t),
        wf.grad(lambda t: 1.0),
        wf.vmap(lambda t: t),
        wf.jacfwd(lambda t: X),
        lambda t: wf.jvp(lambda t: t, (t,), (t,)),
        lambda t: wf.linearize(lambda t: t, t),
        lambda t: wf.vjp(lambda t: t, t),
        lambda t: wf.scan(lambda c, x: (c, x), t, t),
        wf.tree.leaves,
    )
]
ALL = [*CARRIES, *ROWS, *AUX, *NUMBERS, *MAPS, *DIRECTIONS, *DEPTH]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_one_message_with_the_line(number: int) -> None:
    call, kind, message = ALL[number]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "test_transforms_bad_input.py:" in str(caught.value)
    assert len(str(caught.value)) < 700
    assert caught.value.__cause__ is None


def test_maps_over_no_elements() -> None:
    none = np.ones((0, 3), "f4")
    total, same = wf.vmap(lambda x: (wf.sum(x), x))(none)
    assert total.shape == (0,) and same.shape == (0, 3)
    assert wf.vmap(wf.max)(none).shape == (0,)
    assert wf.vmap(wf.grad(lambda x: wf.sum(x * x)))(none).shape == (0, 3)
    assert wf.vmap(wf.hessian(lambda x: wf.sum(x * x)))(none).shape == (0, 3, 3)
    assert wf.vmap(lambda: wf.ones(3), axis_size=0)().shape == (0, 3)
    scanned = wf.vmap(lambda x: wf.scan(lambda c, r: (c + r, c), 0.0, x))(none)
    assert [leaf.shape for leaf in wf.tree.leaves(scanned)] == [(0,), (0, 3)]
    while_ = wf.vmap(lambda x: wf.while_loop(lambda y: y < 9, lambda y: y * 2, x))
    assert while_(none[:, 0]).shape == (0,)


def test_scans_over_no_rows() -> None:
    def last(a: Any, xs: Any) -> Any:
        return wf.scan(lambda c, x: (c + x * a, c), a, xs)[0]

    gradients = wf.grad(last, argnums=(0, 1))(np.float32(2), X[:0])
    assert gradients[0] == 1 and gradients[1].shape == (0,)
    assert wf.jvp(lambda a: last(a, X[:0]), (2.0,), (3.0,)) == (2.0, 3.0)
    assert wf.vmap(last, in_axes=(0, None))(X, X[:0]).tolist() == [1, 1, 1]
    assert wf.hessian(lambda a: last(a, X[:0]))(np.float32(2)) == 0
