"""Convolution and pooling, forward and backward, of images in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.jobs import case, shape_text
from benchmarks.records import Case, Size

LIBRARIES = ("numpy", "torch eager", "torch.compile", "jax.jit")


@dataclass(frozen=True)
class Layer:
    """A convolution of `batch` images of so many channels and rows, which are square."""

    name: str
    batch: int
    channels: int
    rows: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        """As many results as elements, with stride 1."""
        return self.kernel // 2

    @property
    def places(self) -> int:
        """The rows of the result."""
        return (self.rows + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def flops(self) -> int:
        """Of a forward pass."""
        results = self.batch * self.outputs * self.places**2
        return 2 * results * self.channels // self.groups * self.kernel**2

    def arrays(self) -> tuple[Any, Any, Any]:
        """Images, weights, and a cotangent of the result."""
        shapes = (
            (self.batch, self.channels, self.rows, self.rows),
            (self.outputs, self.channels // self.groups, self.kernel, self.kernel),
            (self.batch, self.outputs, self.places, self.places),
        )
        rng = np.random.default_rng(0)
        x, weight, g = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, weight, g

    def text(self) -> str:
        """3x3 8x64x56x56 to 64"""
        shape = shape_text(self.batch, self.channels, self.rows, self.rows)
        return f"{self.name} {shape} to {self.outputs}"


def layers(size: Size) -> tuple[Layer, ...]:
    """Those of residual networks and their like."""
    wide = size(128)
    return (
        Layer("3x3", size(8), size(64), size(56), size(64)),
        Layer("3x3", size(8), size(256), size(14), size(256)),
        Layer("1x1", size(8), size(256), size(28), size(256), 1),
        Layer("3x3 stride 2", size(8), size(64), size(56), wide, 3, 2),
        Layer("7x7 stride 2", size(4), 3, size(224), size(64), 7, 2),
        Layer("depthwise 3x3", size(8), wide, size(56), wide, 3, 1, wide),
    )


def cases(size: Size) -> Iterator[Case]:
    """What a forward and a backward pass take, and pools."""
    for number, layer in enumerate(layers(size)):
        x, weight, g = layer.arrays()
        how = {"flops": layer.flops, "among": LIBRARIES, "tolerance": 1e-4}
        yield case(layer.text(), _conv(layer), x, weight, quick=number in (0, 5), **how)
        how["flops"] = 2 * layer.flops
        yield case(f"gradients of {layer.text()}", _gradients(layer), x, weight, g, **how)
    first = layers(size)[0]
    x, weight, _ = first.arrays()
    bias = np.linspace(-1, 1, first.outputs, dtype=np.float32)
    how = {"flops": first.flops, "among": LIBRARIES, "tolerance": 1e-4}
    yield case(f"relu(conv + b) {first.text()}", _biased(first), x, weight, bias, **how)
    images = np.random.default_rng(0).standard_normal(
        (size(8), size(64), size(112), size(112)), dtype=np.float32
    )
    text = shape_text(*images.shape)
    for name, window, stride, padding in (("max", 3, 2, 1), ("max", 2, 2, 0), ("avg", 2, 2, 0)):
        pool = f"{name}_pool"
        places = ((images.shape[2] + 2 * padding - window) // stride + 1) ** 2
        writes = images.nbytes // images.shape[2] ** 2 * places
        moved = {"reads": images.nbytes, "writes": writes, "among": LIBRARIES}
        called = f"{name} pool {window}x{window} {text}"
        yield case(called, _pool(pool, window, stride, padding), images, **moved)


def _conv(layer: Layer) -> Callable[[Any], Callable[..., Any]]:
    options = layer.stride, layer.padding, layer.groups
    return lambda xp: lambda x, w: xp.nn.conv(x, w, *options)


def _gradients(layer: Layer) -> Callable[[Any], Callable[..., Any]]:
    options = layer.stride, layer.padding, layer.groups
    return lambda xp: lambda x, w, g: xp.nn.conv_gradients(x, w, g, *options)


def _biased(layer: Layer) -> Callable[[Any], Callable[..., Any]]:
    options = layer.stride, layer.padding, layer.groups
    return lambda xp: lambda x, w, b: xp.nn.relu(xp.nn.conv(x, w, *options) + b[:, None, None])


def _pool(name: str, *options: int) -> Callable[[Any], Callable[..., Any]]:
    return lambda xp: lambda x: getattr(xp.nn, name)(x, *options)
