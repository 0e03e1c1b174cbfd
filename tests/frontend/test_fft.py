"""wf.fft against numpy.fft: by bits in float64, where both divide once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf
from weftrt.errors import DTypeError, ShapeError, UsageError

Array = np.ndarray[Any, Any]
ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2")
OF_REAL = ("rfft", "ihfft", "rfftn", "rfft2")
NORMS: tuple[Any, ...] = (None, "backward", "ortho", "forward")


def _drawn(name: str, *shape: int) -> Array:
    """What a function takes."""
    random = np.random.default_rng(shape)
    real = random.standard_normal(shape)
    return real if name in OF_REAL else real + 1j * random.standard_normal(shape)


def _check(name: str, x: Array, *args: Any, exact: bool = True, **options: Any) -> None:
    found = np.asarray(getattr(wf.fft, name)(x, *args, **options))
    wanted = np.ascontiguousarray(getattr(np.fft, name)(x, *args, **options))
    if exact:
        assert_same_bits(found, wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14 * np.abs(wanted).max(initial=0))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis_is_numpys(name: str, norm: Any) -> None:
    for length, n in ((5, None), (8, None), (8, 5), (8, 11), (17, 1), (1, 4)):
        for axis in (1, -1):
            shape = (3, length, 2) if axis == 1 else (2, length)
            _check(name, _drawn(name, *shape), n, axis, norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes_are_numpys(name: str, norm: Any) -> None:
    is_inverse, once = name.startswith("i"), norm in (None, "backward")
    for shape, options in (
        ((4, 6), {}),
        ((2, 3, 5), {"axes": (0, -1)}),
        ((2, 3, 5), {"axes": (2, 1), "s": (7, 2)}),
        ((4, 3, 6), {"axes": (1, 2), "s": (-1, 5)}),
        ((3, 8), {"axes": (-1,)}),
    ):
        exact = norm == "forward" if is_inverse else once
        _check(name, _drawn(name, *shape), norm=norm, exact=exact, **options)


@pytest.mark.parametrize("name", (*ONE_AXIS, *SEVERAL))
def test_float32_is_transformed_in_float32(name: str) -> None:
    x = _drawn(name, 4, 6)
    small = x.astype(np.complex64 if x.dtype == complex else np.float32)
    found, wanted = np.asarray(getattr(wf.fft, name)(small)), getattr(np.fft, name)(x)
    assert found.dtype == wanted.astype(np.complex64).dtype or found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_real_arrays_and_integers_are_transformed_too() -> None:
    _check("fft", np.arange(6.0))
    _check("irfft", np.arange(4.0))
    assert wf.fft.fft(np.arange(6)).dtype is wf.complex64


def test_views_are_transformed() -> None:
    x = _drawn("fft", 6, 8)
    _check("fft", x[::2, ::-1])
    _check("fft", x.T)
    _check("rfft", x.real)
    _check("fft", np.asarray(wf.asarray(x)[1:, 3]))


def test_no_rows_and_no_axes() -> None:
    _check("fft", np.zeros((0, 4), complex))
    _check("rfft", np.zeros((3, 0)), 4)
    _check("fftn", _drawn("fft", 3), axes=())


@pytest.mark.parametrize("name", (*ONE_AXIS, "fftn", "irfftn"))
def test_jitted_for_any_size_it_has_the_same_bits(name: str) -> None:
    function = getattr(wf.fft, name)
    jitted = wf.jit(lambda x: function(x * 2, norm="ortho"))
    for shape in ((4, 6), (3, 7), (5, 8), (1, 9)):
        x = _drawn(name, *shape)
        assert_same_bits(np.asarray(jitted(x)), np.asarray(function(x * 2, norm="ortho")))


def test_lengths_may_be_symbolic() -> None:
    @wf.jit
    def padded(x: Any) -> Any:
        return wf.fft.irfft(wf.fft.rfft(x, n=2 * x.shape[0]), n=2 * x.shape[0])[: x.shape[0]]

    for n in (3, 5, 8, 1):
        x = _drawn("rfft", n)
        np.testing.assert_allclose(padded(x), x, atol=1e-14)


@pytest.mark.parametrize("name", ONE_AXIS)
def test_maps_have_the_bits_of_loops(name: str) -> None:
    x, function = _drawn(name, 9, 6, 3), getattr(wf.fft, name)
    found = np.asarray(wf.vmap(lambda row: function(row, axis=0))(x))
    for row, alone in zip(found, x, strict=True):
        assert_same_bits(row, np.asarray(function(alone, axis=0)))


GRADIENTS = [
    *((name, {"norm": norm}) for name in (*ONE_AXIS, *SEVERAL) for norm in NORMS[1:]),
    *((name, {"n": n, "axis": 0}) for name in ONE_AXIS for n in (1, 3, 9)),
    *((name, {"s": (3, 9)}) for name in SEVERAL),
]


@pytest.mark.parametrize(("name", "options"), GRADIENTS)
def test_gradients_are_torchs(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    x = _drawn(name, 4, 6)
    named = {{"axis": "dim", "axes": "dim"}.get(k, k): v for k, v in options.items()}
    wanted = torch.tensor(x, requires_grad=True)
    result = getattr(torch.fft, name)(wanted, **named)
    (
        torch.sin(torch.real(result) + 0.5 * abs(result)) * _weights(result.shape, torch)
    ).sum().backward()

    def loss(x: Any) -> Any:
        found = getattr(wf.fft, name)(x, **options)
        return wf.sum(wf.sin(wf.real(found) + 0.5 * wf.abs(found)) * _weights(found.shape, np))

    gradient = wanted.grad.resolve_conj().numpy()
    np.testing.assert_allclose(wf.grad(loss)(x), gradient, rtol=1e-10, atol=1e-12)


def _weights(shape: Any, library: Any) -> Any:
    return library.asarray(np.random.default_rng(1).standard_normal(tuple(shape)))


@pytest.mark.parametrize("name", (*ONE_AXIS, "fft2", "irfft2"))
def test_tangents_are_transforms_of_tangents(name: str) -> None:
    x, t = _drawn(name, 4, 6), _drawn(name, 4, 6)[::-1].copy()
    function = getattr(wf.fft, name)
    value, tangent = wf.jvp(function, (x,), (t,))
    assert_same_bits(np.asarray(value), np.asarray(function(x)))
    assert_same_bits(np.asarray(tangent), np.asarray(function(t)))


def test_second_derivatives_through_spectra() -> None:
    def energy(x: Any) -> Any:
        return wf.sum(wf.abs(wf.fft.rfft(x)) ** 4)

    x, direction = _drawn("rfft", 7), np.ones(7) / 3
    step = 1e-5
    sides = [np.asarray(wf.grad(energy)(x + s * step * direction)) for s in (1, -1)]
    (found,) = map(np.asarray, wf.hvp(energy, (x,), (direction,)))
    np.testing.assert_allclose(found, (sides[0] - sides[1]) / (2 * step), rtol=1e-6, atol=1e-5)


def test_complex_arrays_are_not_taken_apart_where_nothing_reads_the_parts() -> None:
    shifted = wf.jit(lambda z: wf.fft.ifft(wf.fft.fft2(z)) * wf.asarray(2.0, dtype=wf.float64))
    nodes = shifted.lower(_drawn("fft", 4, 4)).optimized.nodes()
    names = [node.op.name for node in nodes]
    assert names.count("fft") == 3 and "interleave" not in names
    inner = [node.inputs[0].op.name for node in nodes if node.op.name == "fft"]
    assert sorted(inner) == ["fft", "fft", "input"]


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
@pytest.mark.parametrize("n", [1, 2, 5, 8, 9])
def test_frequencies_are_numpys(name: str, n: int) -> None:
    for d in (1.0, 0.1, 3):
        wanted = getattr(np.fft, name)(n, d)
        assert_same_bits(np.asarray(getattr(wf.fft, name)(n, d, dtype=wf.float64)), wanted)
        assert_same_bits(np.asarray(getattr(wf.fft, name)(n, d=d)), wanted.astype(np.float32))


@pytest.mark.parametrize("axes", [None, 0, 1, -1, (0, 1), (1,), ()])
@pytest.mark.parametrize("shape", [(5, 6), (1, 4), (0, 3)])
def test_shifts_are_numpys(shape: tuple[int, ...], axes: Any) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    for name in ("fftshift", "ifftshift"):
        found = np.asarray(getattr(wf.fft, name)(x, axes=axes))
        assert_same_bits(found, np.ascontiguousarray(getattr(np.fft, name)(x, axes)))


@wf.jit
def _shifted(x: Any) -> Any:
    return wf.fft.fftshift(x) * 2 + wf.fft.fftfreq(x.shape[0], 0.5)


def test_frequencies_and_shifts_of_any_size_are_traced() -> None:
    for n in (4, 5, 7, 1, 9):
        x = np.arange(n, dtype=np.float32)
        frequencies = np.fft.fftfreq(n, 0.5).astype(np.float32)
        assert_same_bits(np.asarray(_shifted(x)), np.fft.fftshift(x) * 2 + frequencies)


def test_mistakes_name_the_line() -> None:
    with pytest.raises(ShapeError, match=r"fftfreq\(0\)\n.*no transform of length 0"):
        wf.fft.fftfreq(0)
    with pytest.raises(ShapeError, match=r"a size is an integer, not 2\.5"):
        wf.fft.fftfreq(2.5)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="frequencies are float32 or float64, not int64"):
        wf.fft.rfftfreq(3, dtype=wf.int64)
    with pytest.raises(UsageError, match="the distance of samples, is 0"):
        wf.fft.rfftfreq(3, 0)
    with pytest.raises(UsageError, match="there is no device 'gpu'"):
        wf.fft.rfftfreq(3, device="gpu")
    with pytest.raises(ShapeError, match="there is no axis 2"):
        wf.fft.fftshift(np.ones(3), axes=2)


def test_what_cannot_be_transformed_names_the_line() -> None:
    z = _drawn("fft", 3, 4)
    with pytest.raises(ShapeError, match=r"fft\(z, 0\)\n.*no transform of length 0"):
        wf.fft.fft(z, 0)
    with pytest.raises(ShapeError, match="no transform of length 0"):
        wf.fft.irfft(z[:, :1])
    with pytest.raises(ShapeError, match="no transform of length 0"):
        wf.fft.fft(np.zeros((3, 0)))
    with pytest.raises(ShapeError, match="the size -2 is negative"):
        wf.fft.fft(z, -2)
    with pytest.raises(ShapeError, match="there is no axis 2"):
        wf.fft.fft(z, axis=2)
    with pytest.raises(ShapeError, match="there is no axis -1"):
        wf.fft.fft(np.float64(3))
    with pytest.raises(DTypeError, match=r"takes real numbers, but was given complex128\[3,4\]"):
        wf.fft.rfft(z)
    with pytest.raises(UsageError, match="norm is 'backward', 'ortho' or 'forward', not 'both'"):
        wf.fft.fft(z, norm="both")
    with pytest.raises(ShapeError, match="1 lengths do not go with 2 axes"):
        wf.fft.fftn(z, s=(2,), axes=(0, 1))
    with pytest.raises(ShapeError, match="it takes one axis at least"):
        wf.fft.rfftn(z.real, axes=())
    with pytest.raises(ShapeError, match="it takes at most 7 axes"):
        wf.fft.fft(np.ones((1,) * 8))
    with pytest.raises(UsageError, match="axes is a tuple of integers, not 1"):
        wf.fft.fftn(z, axes=1)  # type: ignore[arg-type]
