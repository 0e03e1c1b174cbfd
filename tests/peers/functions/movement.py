"""Functions that move elements, in torch's signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from tests.peers.unexpressed import Unexpressed

import weft as wf

Function = Callable[..., Any]


def sequence(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes or axes, given one by one or as one sequence."""
    return tuple(items[0]) if len(items) == 1 and isinstance(items[0], (tuple, list)) else items


def along(x: Any, axis: int, item: Any) -> Any:
    """x[..., item, ...] at an axis."""
    return x[(*(slice(None),) * (axis % x.ndim), item)]


def pieces(x: Any, sizes: Sequence[int], dim: int) -> tuple[Any, ...]:
    ends = np.cumsum([0, *sizes])
    return tuple(along(x, dim, slice(int(a), int(b))) for a, b in pairwise(ends))


def split(x: Any, size: Any, dim: int = 0) -> tuple[Any, ...]:
    if isinstance(size, (tuple, list)):
        return pieces(x, size, dim)
    length = x.shape[dim]
    return pieces(x, [min(size, length - i) for i in range(0, length, size)], dim)


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    return split(x, max(1, -(-x.shape[dim] // chunks)), dim)


def tensor_split(x: Any, places: Any, dim: int = 0) -> tuple[Any, ...]:
    length = x.shape[dim]
    if np.ndim(places) == 0:
        size, more = divmod(length, int(places))
        return pieces(x, [size + (i < more) for i in range(int(places))], dim)
    bounds = [
        slice(*pair).indices(length)[:2]
        for pair in zip([0, *map(int, places)], [*map(int, places), None])
    ]
    return tuple(along(x, dim, slice(a, max(a, b))) for a, b in bounds)


def unbind(x: Any, dim: int = 0) -> tuple[Any, ...]:
    return tuple(along(x, dim, i) for i in range(x.shape[dim]))


def transpose(x: Any, first: int, second: int) -> Any:
    order = list(range(x.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return wf.permute_dims(x, order)


def move(x: Any, source: Any, destination: Any) -> Any:
    given = [(a,) if isinstance(a, int) else a for a in (source, destination)]
    pairs = sorted((to % x.ndim, at % x.ndim) for at, to in zip(*given)) if x.ndim else []
    order = [axis for axis in range(x.ndim) if axis not in {at for _, at in pairs}]
    for to, at in pairs:
        order.insert(to, at)
    return wf.permute_dims(x, order)


def expand(x: Any, *sizes: Any) -> Any:
    wanted = sequence(sizes)
    own = (1,) * (len(wanted) - x.ndim) + tuple(x.shape)
    return wf.broadcast_to(x, tuple(o if w == -1 else w for w, o in zip(wanted, own)))


def repeat(x: Any, *counts: Any) -> Any:
    counts = sequence(counts)
    shape = (1,) * (len(counts) - x.ndim) + tuple(x.shape)
    pairs = tuple(size for pair in zip((1,) * len(shape), shape) for size in pair)
    spread = tuple(size for pair in zip(counts, shape) for size in pair)
    whole = tuple(c * s for c, s in zip(counts, shape))
    return wf.reshape(wf.broadcast_to(wf.reshape(x, pairs), spread), whole)


def tile(x: Any, dims: Sequence[int]) -> Any:
    return repeat(x, (1,) * (x.ndim - len(dims)) + tuple(dims))


def repeat_interleave(x: Any, repeats: Any, dim: Any = None, **_: Any) -> Any:
    if dim is None:
        x, dim = wf.reshape(x, (-1,)), 0
    if not x.ndim:
        x = wf.reshape(x, (1,))
    counts = np.broadcast_to(np.asarray(repeats), (x.shape[dim],))
    return wf.take(x, np.repeat(np.arange(x.shape[dim]), counts), axis=dim)


def roll(x: Any, shifts: Any, dims: Any = None) -> Any:
    if dims is None or dims == ():
        return wf.reshape(roll(wf.reshape(x, (-1,)), shifts, 0), x.shape)
    pairs = [(shifts, dims)] if isinstance(dims, int) else zip(np.atleast_1d(shifts), dims)
    for shift, axis in pairs:
        if x.ndim and x.shape[axis]:
            cut = int(-shift) % x.shape[axis]
            x = wf.concat(
                [along(x, axis, slice(cut, None)), along(x, axis, slice(0, cut))], axis=axis
            )
    return x + 0


def rot90(x: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    for _ in range(k % 4):
        x = wf.flip(transpose(x, *dims), axis=dims[0])
    return x + 0


def squeeze(x: Any, dim: Any = None) -> Any:
    axes = range(x.ndim) if dim is None else (dim if isinstance(dim, (tuple, list)) else (dim,))
    return wf.squeeze(x, axis=tuple(a for a in axes if x.ndim and x.shape[a] == 1))


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return wf.linalg.diagonal(move(x, (dim1, dim2), (-2, -1)), offset=offset)


def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    size = x.shape[-1] + abs(offset)
    hot = np.eye(size, k=offset, dtype=bool)
    low = (max(-offset, 0), max(offset, 0))
    column = wf.pad(x, [(0, 0)] * (x.ndim - 1) + [(low[0], size - low[0] - x.shape[-1])])
    return move(wf.where(hot, column[..., :, None], 0.0), (-2, -1), (dim1, dim2))


def diag(x: Any, k: int = 0) -> Any:
    return diag_embed(x, k) if x.ndim == 1 else wf.linalg.diagonal(x, offset=k)


def triangle(keep: Function) -> Function:
    def run(x: Any, diagonal: int = 0) -> Any:
        return wf.where(keep(np.ones(tuple(x.shape[-2:]), bool), diagonal), x, 0.0)

    return run


def hot(index: Any, size: int, axis: int) -> Any:
    """Whether each place along a new axis, put before `axis`, is the index."""
    return wf.one_hot(index, size, axis=axis, dtype=wf.bool)


def gather(x: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    if np.size(index) == 0:
        raise Unexpressed("no index")
    index = wf.asarray(index)
    if not x.ndim:
        return wf.broadcast_to(x, index.shape)
    dim %= x.ndim
    grids = [
        wf.reshape(wf.arange(n), [n if a == axis else 1 for a in range(x.ndim)])
        for axis, n in enumerate(index.shape)
    ]
    return x[tuple(index if axis == dim else grids[axis] for axis in range(x.ndim))]


def take_along(x: Any, index: Any, dim: Any = None) -> Any:
    if dim is None:
        return wf.take(wf.reshape(x, (-1,)), np.reshape(index, -1), axis=0)
    if not x.ndim:
        return wf.reshape(x, np.shape(index))
    shape = np.broadcast_shapes(
        *(
            tuple(s for a, s in enumerate(part) if a != dim % x.ndim)
            for part in (x.shape, index.shape)
        )
    )
    own, at = list(shape), list(shape)
    own.insert(dim % x.ndim, x.shape[dim])
    at.insert(dim % x.ndim, index.shape[dim])
    return gather(wf.broadcast_to(x, own), dim, np.broadcast_to(index, at))


def index_select(x: Any, dim: int, index: Any) -> Any:
    return wf.take(x, np.atleast_1d(index), axis=dim) if x.ndim else x + 0


def adjoint(function: Function, x: Any, updates: Any) -> Any:
    """x plus what a linear `function` of an array like x makes of `updates` backwards."""
    return x + wf.vjp(function, x)[1](updates)[0]


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    if not x.ndim:
        return x + alpha * wf.sum(source)
    return adjoint(lambda x: wf.take(x, np.atleast_1d(index), axis=dim), x, alpha * source)


def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    if any(np.asarray(i).dtype == bool for i in indices):
        raise Unexpressed("a mask as an index")
    read = lambda x: x[tuple(indices)]  # noqa: E731
    kept = x if accumulate else wf.where(reached(read, x), 0.0, x)
    return adjoint(read, kept, wf.broadcast_to(values, read(x).shape))


def reached(read: Function, x: Any) -> Any:
    """Which elements of x `read` gives."""
    return wf.vjp(read, x)[1](wf.ones_like(read(x)))[0] > 0


def scatter_add(x: Any, dim: int, index: Any, source: Any) -> Any:
    if not x.ndim:
        return x + wf.sum(source)
    used = source[tuple(slice(0, size) for size in np.shape(index))]
    return adjoint(lambda x: gather(x, dim, index), x, used)


def scatter(x: Any, dim: int, index: Any, source: Any, *, reduce: str | None = None) -> Any:
    if reduce == "multiply":
        raise Unexpressed("a product of what is scattered")
    if not x.ndim:
        raise Unexpressed("no axis")
    source = (
        source
        if hasattr(source, "ndim") and source.ndim
        else wf.broadcast_to(source, np.shape(index))
    )
    read = lambda x: gather(x, dim, index)  # noqa: E731
    kept = x if reduce == "add" else wf.where(reached(read, x), 0.0, x)
    return scatter_add(kept, dim, index, source)


def replaced(x: Any, source: Any, read: Function) -> Any:
    """x, in which what a view of it sees is `source`."""
    return adjoint(read, wf.where(reached(read, x), 0.0, x), wf.broadcast_to(source, read(x).shape))


def slice_scatter(
    x: Any, source: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    return replaced(x, source, lambda x: along(x, dim, slice(start, end, step)))


def constant_pad(x: Any, pad: Sequence[int], value: float = 0) -> Any:
    pairs = list(zip(pad[::2], pad[1::2]))[::-1]
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    for axis, (low, high) in enumerate(pairs):
        x = along(x, axis, slice(max(-low, 0), x.shape[axis] - max(-high, 0)))
    return wf.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=value)


def unfold(x: Any, dimension: int, size: int, step: int) -> Any:
    if not x.ndim:
        return wf.reshape(x, (1,))
    starts = np.arange(0, x.shape[dimension] - size + 1, step)
    windows = wf.take(x, starts[:, None] + np.arange(size), axis=dimension)
    return move(windows, dimension % x.ndim + 1, -1)


def stacked(axis: int, rank: int) -> Function:
    """Arrays with at least `rank` axes joined along one."""

    def run(*arrays: Any) -> Any:
        return wf.concat([at_least(x, rank) for x in sequence(arrays)], axis=axis)

    return run


def at_least(x: Any, rank: int) -> Any:
    if rank == 3 and x.ndim < 3:
        return at_least(x, 2)[..., None]
    return x + 0 if x.ndim >= rank else wf.reshape(x, (1,) * (rank - x.ndim) + tuple(x.shape))


def each(rank: int) -> Function:
    def run(*arrays: Any) -> Any:
        arrays = sequence(arrays)
        found = tuple(at_least(x, rank) for x in arrays)
        return found

    return run


def meshgrid(*arrays: Any, indexing: str = "ij") -> Any:
    arrays = sequence(arrays)
    order = (
        (1, 0, *range(2, len(arrays)))
        if indexing == "xy" and len(arrays) > 1
        else range(len(arrays))
    )
    shape = [arrays[i].size for i in order]
    places = {a: place for place, a in enumerate(order)}
    lined = (
        wf.reshape(x, [-1 if places[i] == a else 1 for a in range(len(shape))])
        for i, x in enumerate(arrays)
    )
    return tuple(wf.broadcast_to(x, shape) for x in lined)


def joined(x: Any, dim: int = 0) -> Any:
    return wf.concat([part for part in x if part.shape != (0,)] or x[:1], axis=dim)


def view(x: Any, *shape: Any) -> Any:
    return wf.reshape(x, sequence(shape))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if not x.ndim:
        return wf.reshape(x, (1,))
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return wf.reshape(
        x, (*x.shape[:start], int(np.prod(x.shape[start : end + 1])), *x.shape[end + 1 :])
    )


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Any:
    known = [int(np.prod([s for s in sizes if s != -1]))]
    sizes = [x.shape[dim] // known[0] if s == -1 else s for s in sizes]
    dim %= x.ndim
    return wf.reshape(x, (*x.shape[:dim], *sizes, *x.shape[dim + 1 :]))


def block_diagonal(*arrays: Any) -> Any:
    arrays = [at_least(x, 2) for x in arrays]
    width, rows, left = sum(x.shape[1] for x in arrays), [], 0
    for x in arrays:
        rows.append(wf.pad(x, [(0, 0), (left, width - left - x.shape[1])]))
        left += x.shape[1]
    return wf.concat(rows, axis=0)


def get(x: Any, index: Any) -> Any:
    items = index if isinstance(index, (tuple, list)) else (index,)
    if any(isinstance(item, np.ndarray) and item.dtype.kind == "b" for item in items):
        raise Unexpressed("a mask as an index")
    return x[index]


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return wf.where(mask, value, x)


TABLE: dict[str, Function] = {
    "T": lambda x: wf.transpose(x),
    "mT": wf.matrix_transpose,
    "t": wf.transpose,
    "atleast_1d": each(1),
    "atleast_2d": each(2),
    "atleast_3d": each(3),
    "block_diag": block_diagonal,
    "broadcast_tensors": lambda *x: [
        wf.broadcast_to(a, wf.broadcast_shapes(*(a.shape for a in x))) for a in x
    ],
    "broadcast_to": expand,
    "cat": joined,
    "chunk": chunk,
    "column_stack": lambda x: wf.concat(
        [wf.reshape(a, (-1, 1)) if a.ndim < 2 else a for a in x], axis=1
    ),
    "constant_pad_nd": constant_pad,
    "diag": diag,
    "diag_embed": diag_embed,
    "diagonal": diagonal,
    "diagonal_scatter": lambda x, source, *args, **named: replaced(
        x, source, lambda x: diagonal(x, *args, **named)
    ),
    "diagflat": lambda x, offset=0: diag_embed(wf.reshape(x, (-1,)), offset),
    "dsplit": lambda x, places: tensor_split(x, places, 2),
    "dstack": stacked(2, 3),
    "expand": expand,
    "expand_as": lambda x, other: wf.broadcast_to(x, other.shape),
    "flatten": flatten,
    "flip": lambda x, dims: wf.flip(x, axis=tuple(dims)),
    "fliplr": lambda x: wf.flip(x, axis=1),
    "flipud": lambda x: wf.flip(x, axis=0),
    "gather": gather,
    "hsplit": lambda x, places: tensor_split(x, places, 0 if x.ndim == 1 else 1),
    "hstack": lambda x: wf.concat([at_least(a, 1) for a in x], axis=0 if x[0].ndim < 2 else 1),
    "index_add": index_add,
    "index_copy": lambda x, dim, index, source: replaced(
        x, source, lambda x: index_select(x, dim, index)
    ),
    "index_fill": lambda x, dim, index, value: wf.where(
        reached(lambda x: index_select(x, dim, index), x), value, x
    ),
    "index_put": index_put,
    "index_select": index_select,
    "masked_fill": masked_fill,
    "meshgrid": meshgrid,
    "movedim": move,
    "narrow": lambda x, dim, start, length: (
        along(x, dim, slice(int(start), int(start) + length))
        if start >= 0 or length
        else along(x, dim, slice(0, 0))
    ),
    "permute": lambda x, *dims: wf.permute_dims(x, sequence(dims)),
    "ravel": lambda x: wf.reshape(x, (-1,)),
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    "reshape": view,
    "reshape_as": lambda x, other: wf.reshape(x, other.shape),
    "roll": roll,
    "rot90": rot90,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "select": lambda x, dim, index: along(x, dim, index),
    "select_scatter": lambda x, source, dim, index: replaced(
        x, source, lambda x: along(x, dim, index)
    ),
    "slice": lambda x, dim=0, start=None, end=None, step=1: along(x, dim, slice(start, end, step)),
    "slice_scatter": slice_scatter,
    "split": split,
    "split_with_sizes": split,
    "squeeze": squeeze,
    "stack": lambda x, dim=0: wf.stack(x, axis=dim),
    "take": lambda x, index: wf.take(wf.reshape(x, (-1,)), index, axis=0),
    "take_along_dim": take_along,
    "tensor_split": tensor_split,
    "tile": tile,
    "transpose": transpose,
    "tril": triangle(np.tril),
    "triu": triangle(np.triu),
    "unbind": unbind,
    "unflatten": unflatten,
    "unfold": unfold,
    "unsqueeze": lambda x, dim: wf.expand_dims(x, axis=dim),
    "view": view,
    "view_as": lambda x, other: wf.reshape(x, other.shape),
    "vsplit": lambda x, places: tensor_split(x, places, 0),
    "vstack": stacked(0, 2),
    "__getitem__": get,
}
