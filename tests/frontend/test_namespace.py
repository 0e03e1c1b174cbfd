"""The namespace: every name with Array API semantics, over dtypes and shapes, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits

import weft as wf

NAMES = """
abs acos add all any arange argmax argmin asarray asin astype atan atan2 bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_to ceil
clip concat cos cosh divide einsum empty equal erf exp expand_dims expm1 eye flip floor
floor_divide full full_like greater greater_equal isfinite isinf isnan less less_equal linspace
log log1p log2 logical_and logical_not logical_or logical_xor logsumexp matmul matrix_transpose
max maximum mean min minimum multiply negative not_equal one_hot ones outer pad permute_dims
positive pow prod reciprocal remainder reshape round rsqrt sigmoid sign sin sinh sqrt square
squeeze stack std subtract sum take tan tanh tensordot transpose trunc var vecdot where zeros
zeros_like result_type can_cast finfo iinfo isdtype broadcast_shapes from_dlpack float32 float64
int32 int64 uint8 uint32 uint64 bool pi e inf nan newaxis grad value_and_grad vjp jit
"""
NEURAL = """
absolute_error adaptive_avg_pool adaptive_max_pool avg_pool batch_norm batch_norm_training
binary_cross_entropy_with_logits celu conv conv_transpose cosine_similarity cross_entropy dropout
elu embedding gelu global_avg_pool global_max_pool glu group_norm hard_sigmoid hard_silu hard_tanh
hinge_loss huber_loss instance_norm kl_divergence l2_normalize l2_pool layer_norm leaky_relu
log_sigmoid log_softmax logsumexp max_pool mish negative_log_likelihood one_hot relu relu6 resize
rms_norm selu sigmoid silu smooth_l1_loss softmax softplus softsign squared_error tanh windows
"""

SHAPES: list[tuple[int, ...]] = [(), (0,), (1,), (7,), (3, 0, 2), (2, 1, 3), (4, 33)]


def test_names() -> None:
    assert all(hasattr(wf, name) for name in NAMES.split())
    assert all(hasattr(wf.nn, name) for name in NEURAL.split())
    assert set(wf.__all__) <= set(dir(wf))


def draw(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    if dtype == "?":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype[0] == "f":
        return np.asarray(rng.standard_normal(shape) * 3, dtype)
    return np.asarray(rng.integers(0 if dtype[0] == "u" else -9, 9, shape), dtype)


NUMBER = {
    **{name: getattr(np, name) for name in ("add", "multiply", "subtract", "maximum", "minimum")},
    **{name: getattr(np, name) for name in ("equal", "not_equal", "less", "greater", "less_equal")},
    **{name: getattr(np, name) for name in ("logical_and", "logical_or", "logical_xor")},
    "where": lambda x, y: np.where(x > y, x, y),
}
WHOLE = {
    **{name: getattr(np, name) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
}
UNARY = {
    **{name: getattr(np, name) for name in ("abs", "sign", "square", "isnan", "logical_not")},
    **{name: getattr(np, name) for name in ("floor", "ceil", "trunc", "isfinite", "positive")},
}
BINARY_SPECIAL = {"where": lambda x, y: wf.where(x > y, x, y)}


def _applied(names: Any, *args: Any) -> dict[str, Any]:
    return {name: BINARY_SPECIAL.get(name, getattr(wf, name))(*args) for name in names}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1", "u4", "u8"])
def test_exact_functions(dtype: str) -> None:
    """Values, dtypes and shapes as NumPy has them; the same bits eager and compiled."""
    binary = {**NUMBER, **({} if dtype[0] == "f" else WHOLE)}
    for shape in SHAPES:
        x, y = draw(shape, dtype), draw(shape, dtype, 1)
        for names, args in ((binary, (x, y)), (UNARY, (x,))):
            compiled = wf.jit(lambda *args, names=tuple(names): _applied(names, *args))(*args)
            eager = _applied(names, *map(wf.asarray, args))
            for name, reference in names.items():
                with np.errstate(all="ignore"):
                    expected = np.asarray(reference(*args))
                found = np.asarray(compiled[name])
                assert found.dtype == expected.dtype and found.shape == shape, name
                np.testing.assert_array_equal(found, expected, err_msg=name)
                assert_same_bits(np.asarray(eager[name]), found)


REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sum": (wf.sum, np.sum),
    "prod": (wf.prod, np.prod),
    "mean": (wf.mean, np.mean),
    "var": (wf.var, np.var),
    "any": (wf.any, np.any),
    "all": (wf.all, np.all),
    "max": (wf.max, np.max),
    "min": (wf.min, np.min),
}


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple),
    name=st.sampled_from(sorted(REDUCTIONS)),
    dtype=st.sampled_from(["f4", "f8", "i4", "u1"]),
    keepdims=st.booleans(),
    data=st.data(),
)
def test_reductions(
    shape: tuple[int, ...], name: str, dtype: str, keepdims: bool, data: Any
) -> None:
    axes = st.none() | st.integers(-len(shape), len(shape) - 1)
    axis = data.draw(axes | st.lists(st.integers(0, len(shape) - 1), unique=True).map(tuple))
    ours, theirs = REDUCTIONS[name]
    x = draw(shape, dtype)
    try:
        with np.errstate(all="ignore"):
            expected = np.asarray(theirs(x, axis=axis, keepdims=keepdims))
    except ValueError:  # the extreme of nothing
        with pytest.raises(wf.errors.ShapeError, match="no elements"):
            ours(wf.asarray(x), axis=axis, keepdims=keepdims)
        with pytest.raises(wf.errors.ShapeError, match="no elements"):
            wf.jit(lambda x: ours(x, axis=axis, keepdims=keepdims))(x)
        return
    with np.errstate(all="ignore"):
        eager = np.asarray(ours(wf.asarray(x), axis=axis, keepdims=keepdims))
    compiled = np.asarray(wf.jit(lambda x: ours(x, axis=axis, keepdims=keepdims))(x))
    assert compiled.shape == expected.shape
    np.testing.assert_allclose(compiled, expected, rtol=2e-5, atol=1e-5)
    assert_same_bits(eager, compiled)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple),
    keys=st.lists(
        st.integers(-1, 0)
        | st.none()
        | st.just(Ellipsis)
        | st.slices(4)
        | st.builds(slice, st.none(), st.none(), st.sampled_from([-2, -1, 2, 3])),
        max_size=3,
    ).filter(lambda keys: sum(k is Ellipsis for k in keys) < 2),
)
def test_basic_indexing(shape: tuple[int, ...], keys: list[Any]) -> None:
    x = draw(shape, "f4")
    key = tuple(keys)
    try:
        expected = x[key]
    except IndexError:
        for run in (lambda: wf.asarray(x)[key], lambda: wf.jit(lambda x: x[key])(x)):
            with pytest.raises((IndexError, wf.errors.ShapeError)):
                run()
        return
    assert_same_bits(np.asarray(wf.asarray(x)[key]), np.asarray(expected))
    assert_same_bits(np.asarray(wf.jit(lambda x: x[key])(x)), np.asarray(expected))


@pytest.mark.parametrize("dtype", wf.__array_namespace_info__().dtypes().values(), ids=str)
def test_casts(dtype: Any) -> None:
    for source in ("f4", "f8", "i4", "i8", "u1", "u4", "u8", "?"):
        x = np.abs(draw((7,), source)) if source != "?" else draw((7,), source)
        expected = x.astype(dtype.dtype)
        assert_same_bits(np.asarray(wf.asarray(x).astype(dtype)), expected)
        assert_same_bits(np.asarray(wf.jit(lambda x: wf.astype(x, dtype))(x)), expected)


def test_namespace_info() -> None:
    info = wf.__array_namespace_info__()
    assert info.capabilities()["max dimensions"] == 8
    assert info.capabilities()["boolean indexing"] is False
    assert info.default_device() == "cpu" and info.devices() == ["cpu"]
    assert info.default_dtypes()["real floating"] is wf.float32
    assert set(info.dtypes(kind="integral")) == {"int32", "int64", "uint8", "uint32", "uint64"}
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert wf.asarray(1.0).__array_namespace__() is wf
    with pytest.raises(wf.errors.UsageError, match="no device 'gpu'; there is cpu"):
        info.dtypes(device="gpu")


def test_methods_take_numpys_options() -> None:
    x = draw((3, 4), "f4")
    for found, expected in (
        (wf.asarray(x).std(ddof=1), x.std(ddof=1)),
        (np.var(wf.asarray(x), axis=0, ddof=1), x.var(axis=0, ddof=1)),
        (np.mean(wf.asarray(x)), x.mean()),
    ):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)
