"""conv and conv_transpose: against loops over the places of windows, and torch; layouts, gradients,
bits, what is refused."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weft.errors import DTypeError, ShapeError, UsageError


class Case(NamedTuple):
    """A convolution: sizes of the axes, of the kernel, and how it slides."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    batch: int = 2
    channels: int = 4
    outputs: int = 8

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}

    def draw(self, dtype: str = "f8") -> tuple[Any, Any]:
        """An array and weights, channels first."""
        random = np.random.default_rng(len(self.sizes))
        x = random.standard_normal((self.batch, self.channels, *self.sizes))
        shape = (self.outputs, self.channels // self.groups, *self.kernel)
        return x.astype(dtype), random.standard_normal(shape).astype(dtype)


NONE = (0, 0)
CASES = {
    "1-d": Case((9,), (3,), (1,), (NONE,), (1,)),
    "1-d strided": Case((10,), (3,), (2,), ((2, 1),), (2,), 2),
    "2-d": Case((7, 6), (3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1)),
    "2-d strided": Case((8, 9), (3, 3), (2, 3), ((1, 1), (1, 2)), (1, 1)),
    "2-d dilated": Case((9, 8), (3, 2), (1, 2), ((0, 2), (1, 0)), (2, 3)),
    "groups": Case((6, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    "depthwise": Case((6, 7), (3, 3), (2, 1), ((1, 1), NONE), (1, 1), 4),
    "one by one": Case((5, 4), (1, 1), (1, 1), (NONE, NONE), (1, 1)),
    "one by one strided": Case((5, 4), (1, 1), (2, 2), (NONE, NONE), (1, 1)),
    "3-d": Case((4, 5, 4), (2, 3, 2), (1, 2, 1), ((1, 0), (1, 1), NONE), (1, 1, 2)),
    "3-d groups": Case((3, 4, 3), (2, 2, 2), (1, 1, 2), (NONE, (1, 1), (0, 1)), (1, 1, 1), 2),
    "no batch": Case((4, 4), (2, 2), (1, 1), (NONE, NONE), (1, 1), batch=0),
    "no channels": Case((4, 4), (2, 2), (1, 1), (NONE, NONE), (1, 1), channels=0),
    "no outputs": Case((4, 4), (2, 2), (1, 1), (NONE, NONE), (1, 1), outputs=0),
    "one place": Case((3, 2), (3, 2), (1, 1), (NONE, NONE), (1, 1), batch=1),
    "strides beyond the size": Case((3, 4), (2, 2), (9, 9), (NONE, NONE), (1, 1)),
}


def by_loops(x: Any, weight: Any, case: Case) -> Any:
    """The definition: a sum at each place, for each output."""
    x = np.pad(x, [NONE, NONE, *case.padding])
    spans = [(k - 1) * d + 1 for k, d in zip(case.kernel, case.dilation)]
    places = [(n - s) // t + 1 for n, s, t in zip(x.shape[2:], spans, case.stride)]
    result = np.zeros((case.batch, case.outputs, *places))
    own = case.channels // case.groups
    for output, place in product(range(case.outputs), np.ndindex(*places)):
        first = output // (case.outputs // case.groups) * own
        starts = [at * step for at, step in zip(place, case.stride)]
        window = [slice(a, a + s, d) for a, s, d in zip(starts, spans, case.dilation)]
        seen = x[(slice(None), slice(first, first + own), *window)]
        axes = tuple(range(1, seen.ndim))
        result[(slice(None), output, *place)] = (seen * weight[output]).sum(axes)
    return result


def last(x: Any) -> Any:
    """Channels last."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def weights_last(weight: Any) -> Any:
    """(outputs, channels, *kernel) as (*kernel, channels, outputs)."""
    return np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2)))


def ways(function: Any, *args: Any) -> Any:
    """What a function gives eager, compiled, and interpreted for these sizes and for any, which has
    to be the same bits."""
    eager = np.asarray(function(*map(wf.asarray, args)))
    assert_same_bits(np.asarray(wf.jit(function)(*args)), eager)
    assert_same_bits(np.asarray(staged.run(function, *args)), eager)
    anywhere = staged.run(function, *args, symbolic=True)
    if anywhere is not None:
        assert_same_bits(np.asarray(anywhere), eager)
    return eager


@pytest.mark.parametrize("name", CASES)
def test_against_loops_in_both_layouts(name: str) -> None:
    case = CASES[name]
    x, weight = case.draw()

    def first(x: Any, w: Any) -> Any:
        return wf.nn.conv(x, w, **case.options())

    def behind(x: Any, w: Any) -> Any:
        return wf.nn.conv(x, w, data_format="NHWC", **case.options())

    wanted = by_loops(x, weight, case)
    np.testing.assert_allclose(ways(first, x, weight), wanted, rtol=1e-12, atol=1e-12)
    found = ways(behind, last(x), weights_last(weight))
    np.testing.assert_allclose(found, last(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["1-d strided", "2-d", "2-d strided", "depthwise", "3-d"])
def test_float32_and_integers(name: str) -> None:
    case = CASES[name]
    for dtype in ("f4", "i4"):
        x, weight = (np.round(part * 4).astype(dtype) for part in case.draw())
        found = ways(lambda x, w: wf.nn.conv(x, w, **case.options()), x, weight)
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found, by_loops(x, weight, case))


def test_wide_results_fill_the_tiles_and_their_rests() -> None:
    for sizes, channels, outputs in (((33, 70), 5, 17), ((9, 130), 130, 7), ((20, 20), 33, 300)):
        case = Case(sizes, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 2, channels, outputs)
        x, weight = case.draw("f4")
        found = ways(lambda x, w, c=case: wf.nn.conv(x, w, **c.options()), x, weight)
        part = case._replace(outputs=3)
        wanted = by_loops(x.astype("f8"), weight[-3:].astype("f8"), part)
        np.testing.assert_allclose(found[:, -3:], wanted, rtol=2e-3, atol=2e-3)
        nhwc = {"data_format": "NHWC", **case.options()}
        args = last(x), weights_last(weight)
        found = ways(lambda x, w, o=nhwc: wf.nn.conv(x, w, **o), *args)
        np.testing.assert_allclose(found[..., -3:], last(wanted), rtol=2e-3, atol=2e-3)


def test_padding_is_told_in_many_ways() -> None:
    x, weight = Case((8, 7), (3, 2), (1, 1), (NONE, NONE), (1, 1)).draw()

    def conv(**options: Any) -> Any:
        return np.asarray(wf.nn.conv(x, weight, **options))

    assert_same_bits(conv(padding="valid"), conv())
    assert_same_bits(conv(padding=1), conv(padding=((1, 1), (1, 1))))
    assert_same_bits(conv(padding=(2, 1)), conv(padding=[(2, 2), 1]))
    assert conv(padding="same").shape == (2, 8, 8, 7)
    assert_same_bits(conv(padding="same"), conv(padding=((1, 1), (0, 1))))
    strided = conv(padding="same", stride=(3, 2))
    assert strided.shape == (2, 8, 3, 4)
    assert_same_bits(strided, conv(padding=((0, 1), (0, 1)), stride=(3, 2)))


def test_a_bias_is_added_to_each_output() -> None:
    case = CASES["2-d"]
    x, weight = case.draw()
    bias = np.arange(8.0)
    found = ways(lambda x, w, b: wf.nn.conv(x, w, b, **case.options()), x, weight, bias)
    wanted = by_loops(x, weight, case) + bias[:, None, None]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    options = {"data_format": "NHWC", **case.options()}
    found = wf.nn.conv(last(x), weights_last(weight), bias, **options)
    np.testing.assert_allclose(np.asarray(found), last(wanted), rtol=1e-12, atol=1e-12)


# -- gradients ------------------------------------------------------------------------------------


def slopes(function: Any, x: Any) -> Any:
    """The gradient of a function to a number, by central differences."""
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        sides = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * 1e-5
            sides.append(function(moved))
        found[place] = (sides[0] - sides[1]) / 2e-5
    return found


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", [n for n in CASES if not n.startswith(("3-d", "no "))])
def test_gradients_against_differences(name: str, layout: str) -> None:
    case = CASES[name]._replace(batch=2, outputs=4)
    x, weight = case.draw()
    seed = np.random.default_rng(1).standard_normal(by_loops(x, weight, case).shape)
    options = {"data_format": layout, **case.options()}

    def loss(x: Any, w: Any, seed: Any) -> Any:
        return (wf.nn.conv(x, w, **options) * seed).sum()

    args = (x, weight, seed) if layout == "NCHW" else (last(x), weights_last(weight), last(seed))
    by_x, by_weight = map(np.asarray, wf.jit(wf.grad(loss, argnums=(0, 1)))(*args))
    wanted = slopes(lambda x: (by_loops(x, weight, case) * seed).sum(), x)
    wanted_weight = slopes(lambda w: (by_loops(x, w, case) * seed).sum(), weight)
    if layout == "NHWC":
        wanted, wanted_weight = last(wanted), weights_last(wanted_weight)
    np.testing.assert_allclose(by_x, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(by_weight, wanted_weight, rtol=1e-6, atol=1e-7)
    for number in (0, 1):
        gradient = wf.grad(loss, argnums=number)
        eager = np.asarray(gradient(*args))
        assert_same_bits(eager, np.asarray(staged.run(gradient, *args)))
        assert_same_bits(eager, (by_x, by_weight)[number])


def test_the_gradient_by_the_input_is_a_product_of_windows() -> None:
    """No product as large as all windows is made on the way where they are side by side."""
    x, weight = Case((12, 12), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)).draw()
    gradient = wf.grad(lambda x, w: wf.nn.conv(x, w, padding=1).sum())
    nodes = staged.nodes_of(gradient, x, weight)
    products = [node for node in nodes if node.op.name == "contract"]
    assert products and all(node.type.size <= 2 * 8 * 14 * 14 for node in products)


def test_second_derivatives_and_tangents() -> None:
    case = CASES["2-d"]
    x, weight = case.draw()

    def loss(x: Any) -> Any:
        return (wf.nn.conv(x, weight, **case.options()) ** 3).sum()

    direction = np.random.default_rng(3).standard_normal(x.shape)
    product_ = np.asarray(wf.jvp(wf.grad(loss), (x,), (direction,))[1])
    step = 1e-5
    sides = [np.asarray(wf.grad(loss)(x + sign * step * direction)) for sign in (1, -1)]
    wanted = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(product_, wanted, rtol=1e-6, atol=1e-6)


def test_a_map_of_convolutions_is_each_of_them() -> None:
    case = CASES["2-d"]
    x, weight = case.draw()
    many = np.stack([x, x * 2, x - 1])
    mapped = wf.vmap(lambda x: wf.nn.conv(x, weight, **case.options()))(many)
    for found, one in zip(np.asarray(mapped), many):
        assert_same_bits(found, np.asarray(wf.nn.conv(one, weight, **case.options())))


# -- transposed -----------------------------------------------------------------------------------

TRANSPOSED = [
    "1-d",
    "1-d strided",
    "2-d",
    "2-d strided",
    "2-d dilated",
    "groups",
    "3-d",
    "depthwise",
]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_is_the_gradient_by_the_input(name: str, layout: str) -> None:
    case = CASES[name]
    x, weight = case.draw()
    g = np.random.default_rng(5).standard_normal(by_loops(x, weight, case).shape)
    if layout == "NHWC":
        x, weight, g = last(x), weights_last(weight), last(g)
    options = {"data_format": layout, **case.options()}
    wanted = np.asarray(wf.vjp(lambda x: wf.nn.conv(x, weight, **options), x)[1](g)[0])
    spatial = range(2, x.ndim) if layout == "NCHW" else range(1, x.ndim - 1)
    spans = [(k - 1) * d + 1 for k, d in zip(case.kernel, case.dilation)]
    padded = [x.shape[axis] + sum(pair) for axis, pair in zip(spatial, case.padding)]
    more = tuple((n - span) % s for n, span, s in zip(padded, spans, case.stride))

    def transposed(g: Any, w: Any) -> Any:
        return wf.nn.conv_transpose(g, w, output_padding=more, **options)

    np.testing.assert_allclose(ways(transposed, g, weight), wanted, rtol=1e-12, atol=1e-12)


def test_transposed_with_same_padding_has_as_many_as_it_is_read_of() -> None:
    g, weight = np.ones((1, 3, 4, 5)), np.ones((3, 2, 4, 1))
    found = wf.nn.conv_transpose(g, weight, stride=(2, 3), padding="same")
    assert found.shape == (1, 2, 8, 15)
    x = np.ones((1, 2, 8, 15))
    wanted = wf.vjp(lambda x: wf.nn.conv(x, weight, stride=(2, 3), padding="same"), x)[1](g)[0]
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def test_the_gradient_of_a_transposed_convolution_is_the_convolution() -> None:
    case = CASES["2-d strided"]
    x, weight = case.draw()
    conv, transposed = wf.nn.conv(x, weight, **case.options()), wf.nn.conv_transpose
    g = np.random.default_rng(5).standard_normal(conv.shape)
    more = {"output_padding": (1, 0), **case.options()}
    assert transposed(g, weight, **more).shape == x.shape
    found = wf.grad(lambda g: (transposed(g, weight, **more) * x).sum())(g)
    np.testing.assert_allclose(np.asarray(found), np.asarray(conv), rtol=1e-12, atol=1e-12)


# -- torch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    case = CASES[name]
    if 0 in (case.channels, case.outputs):
        pytest.skip("torch refuses it")
    case = case._replace(padding=tuple((low, low) for low, _ in case.padding))
    x, weight = case.draw()
    count = len(case.sizes)
    convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[count - 1]
    theirs = [torch.tensor(part, requires_grad=True) for part in (x, weight)]
    options = {**case.options(), "padding": tuple(low for low, _ in case.padding)}
    wanted = convolve(*theirs, None, **options)
    found = wf.nn.conv(x, weight, **case.options())
    np.testing.assert_allclose(np.asarray(found), wanted.detach().numpy(), rtol=1e-11, atol=1e-11)
    seed = np.random.default_rng(2).standard_normal(wanted.shape)
    (wanted * torch.tensor(seed)).sum().backward()

    def loss(x: Any, w: Any) -> Any:
        return (wf.nn.conv(x, w, **case.options()) * seed).sum()

    for found, their in zip(wf.grad(loss, argnums=(0, 1))(x, weight), theirs):
        np.testing.assert_allclose(np.asarray(found), their.grad.numpy(), rtol=1e-11, atol=1e-11)


# -- refused --------------------------------------------------------------------------------------


def arrays(*shape: int) -> Any:
    return wf.ones(shape)


REFUSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], type, str]] = {
    "kernel": ((2, 3, 4, 9), (5, 3, 3, 10), {}, ShapeError, "the window spans 10 elements"),
    "padded": ((2, 3, 4), (5, 3, 9), {"padding": 1}, ShapeError, "padded by 1 and 1"),
    "dilated": ((2, 3, 4), (5, 3, 3), {"dilation": 2}, ShapeError, "spans 5 elements"),
    "channels": ((2, 3, 4), (5, 4, 2), {}, ShapeError, "has 3 channels, .* is for 4"),
    "groups": ((2, 3, 4), (4, 1, 2), {"groups": 2}, ShapeError, "3 channels do not make 2 groups"),
    "outputs": ((2, 4, 4), (5, 2, 2), {"groups": 2}, ShapeError, "5 outputs do not make 2 groups"),
    "in groups": ((2, 4, 4), (4, 4, 2), {"groups": 2}, ShapeError, "for 4 in each of 2 groups"),
    "no groups": ((2, 4, 4), (4, 4, 2), {"groups": 0}, ShapeError, "groups is 1 or more"),
    "negative": ((2, 3, 4), (5, 3, 2), {"padding": -1}, ShapeError, "padding is 0 or more"),
    "empty kernel": ((2, 3, 4), (5, 3, 0), {}, ShapeError, "a kernel of no elements"),
    "no stride": ((2, 3, 4), (5, 3, 2), {"stride": 0}, ShapeError, "stride is 1 or more"),
    "strides": ((2, 3, 4), (5, 3, 2), {"stride": (1, 1)}, ShapeError, "has 2 numbers"),
    "dilation": ((2, 3, 4), (5, 3, 2), {"dilation": 0}, ShapeError, "dilation is 1 or more"),
    "ranks": ((2, 3, 4), (5, 3, 2, 2), {}, ShapeError, "both have a batch or outputs"),
    "rank": ((2, 3), (5, 3), {}, ShapeError, "1, 2 or 3 axes to slide along"),
    "word": ((2, 3, 4), (5, 3, 2), {"padding": "full"}, UsageError, '"same", "valid"'),
    "fraction": ((2, 3, 4), (5, 3, 2), {"stride": 1.5}, UsageError, "stride is an integer"),
    "layout": ((2, 3, 4), (5, 3, 2), {"data_format": "NDHWC"}, UsageError, "NHWC, NCW or NWC"),
    "padding": ((2, 3, 4), (5, 3, 2), {"padding": 2**62}, ShapeError, "is too much"),
    "strides of a plane": (
        (2, 3, 4, 4),
        (5, 3, 2, 2),
        {"stride": (1,)},
        ShapeError,
        "has 1 number,",
    ),
    "parts": ((2, 3, 4), (5, 3, 2), {"padding": (1, 2)}, ShapeError, "padding has 2 parts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name: str) -> None:
    x, weight, options, kind, problem = REFUSED[name]
    for function in (wf.nn.conv, wf.jit(lambda *a: wf.nn.conv(*a, **options))):
        given = options if function is wf.nn.conv else {}
        with pytest.raises(kind, match=problem):
            function(arrays(*x), arrays(*weight), **given)


def test_a_bias_or_a_dtype_that_does_not_fit() -> None:
    x, weight = arrays(2, 3, 4), arrays(5, 3, 2)
    with pytest.raises(ShapeError, match="one element for each of 5 outputs"):
        wf.nn.conv(x, weight, arrays(3))
    with pytest.raises(DTypeError, match="conv takes integers or floats"):
        wf.nn.conv(x > 0, weight > 0)


def test_transposed_refuses_in_words() -> None:
    with pytest.raises(ShapeError, match=r"has 3 channels, .* is for 5"):
        wf.nn.conv_transpose(arrays(2, 3, 4), arrays(5, 3, 2))
    with pytest.raises(ShapeError, match="output_padding is less than the stride"):
        wf.nn.conv_transpose(arrays(2, 3, 4), arrays(3, 3, 2), output_padding=1)
    with pytest.raises(ShapeError, match=r"conv_transpose: .* a kernel of no elements"):
        wf.nn.conv_transpose(arrays(2, 3, 4), arrays(3, 3, 0))
    with pytest.raises(ShapeError, match="axis 2 has no elements"):
        wf.nn.conv_transpose(arrays(1, 1, 0), arrays(1, 1, 3), stride=2)
    with pytest.raises(ShapeError, match="leaves nothing of axis 2"):
        wf.nn.conv_transpose(arrays(2, 3, 4), arrays(3, 3, 2), padding=3)
