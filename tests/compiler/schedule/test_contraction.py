"""The contraction schedule gives the bits of the reference, however it tiles and packs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits
from tests.compiler.codegen import native

from weftc.fusion.kernel import Kernel, KernelKind
from weftc.ir.interpret import interpret as interpret_graph
from weftc.ir.node import Graph, Node
from weftc.ir.size_functions import ceil_div
from weftc.ir.sizes import Dim, Shape, Size
from weftc.loop.interpret import interpret as interpret_loops
from weftc.loop.ir import Alloc
from weftc.loop.simplify import simplify
from weftc.loop.verify import verify
from weftc.loop.walk import statements
from weftc.loop.widen import widen
from weftc.ops import TABLE, build
from weftc.schedule.cpu.contraction import lower_contraction
from weftc.schedule.cpu.contraction_problem import analyse
from weftc.schedule.cpu.contraction_tiling import Packing, Tiling, choose
from weftc.schedule.lowered import Lowered
from weftrt import dtypes
from weftrt.cpu.host import host
from weftrt.dtypes import DType
from weftrt.target import Target

Array: TypeAlias = "np.ndarray[Any, Any]"
Pair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]

AVX512 = Target("x86_64-unknown-linux-gnu", ("avx512f",), 512)
TILES = ((1, 16), (4, 16), (6, 64), (13, 32))


def source(index: int, shape: Shape, dtype: DType = dtypes.float32) -> Node:
    return TABLE["input"](index=index, name=f"x{index}", dtype=dtype, shape=shape)


def contract(
    a: Node, b: Node, batch: Pair = ((), ()), contracted: Pair = ((1,), (0,)), **more: bool
) -> Node:
    return TABLE["contract"](a, b, batch=batch, contracted=contracted, **more)


def kernel_of(graph: Graph) -> Kernel:
    nodes = tuple(n for n in graph.nodes() if n not in graph.inputs)
    return Kernel(KernelKind.CONTRACTION, nodes, graph.inputs, graph.outputs)


def value(size: Size, sizes: dict[str, int]) -> int:
    return size.evaluate(sizes) if isinstance(size, Dim) else size


def draw(node: Node, sizes: dict[str, int], seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    shape = [value(s, sizes) for s in node.type.shape]
    if node.type.dtype.is_float:
        return random.normal(size=shape).astype(node.type.dtype.dtype)
    return random.integers(0, 100, shape).astype(node.type.dtype.dtype)


def outputs_of(low: Lowered, count: int, sizes: dict[str, int]) -> list[Array]:
    return [
        np.full([value(s, sizes) for s in n.type.shape], 77, n.type.dtype.dtype)
        for n in low.buffers[count:]
    ]


def compiled(
    graph: Graph,
    arrays: Sequence[Array],
    sizes: dict[str, int],
    tiling: Tiling | None = None,
    target: Target | None = None,
) -> list[Array]:
    """The outputs of the graph as one kernel, well-formed and run natively."""
    target = target or host()
    low = lower_contraction(kernel_of(graph), target, "contraction", tiling)
    results = outputs_of(low, len(arrays), sizes)
    scratch = [np.full(value(s, sizes) + 64, 0xA5, np.uint8) for s in low.scratch]
    function = simplify(widen(low.function, target))
    verify(low.function, widened=False)
    verify(function, widened=True)
    extents = [value(s, sizes) for s in low.sizes]
    assert native.run(function, [*arrays, *results, *scratch], extents, target) is None
    return results


def check(
    graph: Graph,
    sizes: dict[str, int] | None = None,
    tiling: Tiling | None = None,
    target: Target | None = None,
) -> None:
    sizes = sizes or {}
    arrays = [draw(node, sizes, seed) for seed, node in enumerate(graph.inputs)]
    expected = interpret_graph(graph, arrays, sizes)
    for found, wanted in zip(compiled(graph, arrays, sizes, tiling, target), expected):
        assert_same_bits(found, np.asarray(wanted))


def matmul(m: Size, k: Size, n: Size, dtype: DType = dtypes.float32, turned: str = "") -> Graph:
    """a @ b; operands named in `turned` lie transposed."""
    a = source(0, (k, m) if "a" in turned else (m, k), dtype)
    b = source(1, (n, k) if "b" in turned else (k, n), dtype)
    left = build.transpose(a, (1, 0)) if "a" in turned else a
    right = build.transpose(b, (1, 0)) if "b" in turned else b
    return Graph("matmul", (a, b), (contract(left, right),))


# ---------------------------------------------------------------------------------------------
# Sizes, tiles, packing
# ---------------------------------------------------------------------------------------------


@given(
    m=st.sampled_from((0, 1, 2, 5, 6, 7, 13, 25)),
    n=st.integers(0, 70),
    k=st.sampled_from((0, 1, 3, 4, 7, 64, 1023, 1024, 1027, 2050)),
    dtype=st.sampled_from((dtypes.float32, dtypes.float64, dtypes.int32, dtypes.uint64)),
    turned=st.sampled_from(("", "a", "b", "ab")),
    tile=st.sampled_from(TILES),
    block=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    packing=st.sampled_from(Packing),
    pack_a=st.booleans(),
    narrower=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_tiling_gives_the_reference(
    m: int,
    n: int,
    k: int,
    dtype: DType,
    turned: str,
    tile: tuple[int, int],
    block: tuple[int, int],
    packing: Packing,
    pack_a: bool,
    narrower: bool,
) -> None:
    rows, lanes = tile
    if dtype.bits == 64:
        lanes //= 2
    last: tuple[int, ...] = ()
    if narrower and packing is Packing.DIRECT and n >= lanes:
        vectors = ceil_div(n % lanes, 4) % (lanes // 4)
        last = tuple(4 << bit for bit in reversed(range(8)) if vectors & 1 << bit)
    tiling = Tiling(rows, lanes, *block, pack_a, packing, last=last)
    check(matmul(m, k, n, dtype, turned), tiling=tiling)


SIZES = [(1, 9, 70), (64, 30, 10), (5, 1030, 65), (200, 33, 300), (40, 300, 100), (7, 1500, 90)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("target", [host(), native.baseline()], ids=("host", "baseline"))
def test_chosen_tilings(sizes: tuple[int, int, int], target: Target) -> None:
    check(matmul(*sizes), target=target)


@pytest.mark.parametrize("sizes", [(64, 16, 256), (16, 64, 256), (24, 7, 64)])
def test_tiles_of_short_chains_stay_in_registers(sizes: tuple[int, int, int]) -> None:
    graph = dense(*sizes)
    low = lower_contraction(kernel_of(graph), AVX512, "contraction")
    function = simplify(widen(low.function, AVX512))
    assert not any(isinstance(s, Alloc) for s in statements(function.body))
    check(graph)


@pytest.mark.parametrize("packing", Packing)
def test_special_values(packing: Packing) -> None:
    graph = matmul(7, 5, 33)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-39, 3e38, 1.0]
    random = np.random.default_rng(1)
    a, b = (random.choice(special, size).astype(np.float32) for size in ((7, 5), (5, 33)))
    (expected,) = interpret_graph(graph, [a, b], {})
    (found,) = compiled(graph, [a, b], {}, Tiling(6, 16, 1, 2, False, packing))
    assert_same_bits(found, expected)


def test_small_integers_wrap() -> None:
    check(matmul(5, 40, 20, dtypes.uint8))


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    random = np.random.default_rng(2)
    a, b = (random.normal(size=s).astype(np.float32) for s in ((150, 1500), (1500, 40)))
    (whole,) = compiled(matmul(150, 1500, 40), [a, b], {})
    (alone,) = compiled(matmul(1, 1500, 40), [a[17:18].copy(), b], {})
    assert_same_bits(alone, whole[17:18])


M, N, K = (Dim.symbol(name) for name in "mnk")


@pytest.mark.parametrize("shape", [(M, 12, 20), (9, K, 20), (9, 12, N), (M, K, N), (M, K, 128)])
@pytest.mark.parametrize("turned", ["", "ab"])
def test_symbolic_sizes(shape: tuple[Size, Size, Size], turned: str) -> None:
    for m, n, k in ((1, 1, 1), (14, 70, 1030), (5, 130, 9), (0, 5, 3), (3, 0, 2), (2, 3, 0)):
        check(matmul(*shape, turned=turned), {"m": m, "n": n, "k": k})


# ---------------------------------------------------------------------------------------------
# Operands
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Operand shapes and the axes of a contract."""

    a: Shape
    b: Shape
    batch: Pair
    contracted: Pair


AXES = (
    Case((2, 7, 5), (2, 5, 9), ((0,), (0,)), ((2,), (1,))),
    Case((4, 3, 5), (3, 5, 6), ((), ()), ((1, 2), (0, 1))),
    Case((4, 3, 5), (5, 6, 3), ((), ()), ((1, 2), (2, 0))),
    Case((3, 4, 5), (5, 2, 6), ((), ()), ((2,), (0,))),
    Case((2, 4, 3, 5), (2, 6, 3, 5), ((0, 2), (0, 2)), ((3,), (3,))),
    Case((3, 2), (4,), ((), ()), ((), ())),
    Case((6,), (6,), ((), ()), ((0,), (0,))),
    Case((2, 3, 1, 4), (4, 1, 2, 5), ((0, 2), (2, 1)), ((3,), (0,))),
)


@pytest.mark.parametrize("case", AXES, ids=str)
@pytest.mark.parametrize("packing", Packing)
def test_axes(case: Case, packing: Packing) -> None:
    a, b = source(0, case.a), source(1, case.b)
    graph = Graph("axes", (a, b), (contract(a, b, case.batch, case.contracted),))
    check(graph)
    check(graph, tiling=Tiling(2, 16, 1, 1, packing is Packing.OWN, packing))


def test_few_symbolic_rows_of_an_operand_without_strides() -> None:
    """Two free axes with the contracted one between them have no stride as one axis."""
    rows, columns = Dim.symbol("rows"), Dim.symbol("columns")
    a, b = source(0, (2, 5, rows)), source(1, (5, columns))
    graph = Graph("few", (a, b), (contract(a, b, ((), ()), ((1,), (0,))),))
    for size in (1, 2, 9):
        check(graph, {"rows": size, "columns": 40})


def test_symbolic_batch() -> None:
    batch = Dim.symbol("batch")
    a, b = source(0, (batch, 7, 2, 5)), source(1, (batch, 3, 2, 5))
    graph = Graph("heads", (a, b), (contract(a, b, ((0, 2), (0, 2)), ((3,), (3,))),))
    for size in (0, 1, 4):
        check(graph, {"batch": size})


def moved() -> dict[str, tuple[Node, Node]]:
    """A 4 x 6 operand out of an input through movement nodes: (input, operand)."""
    slices = source(0, (9, 20))
    strided = TABLE["slice"](slices, start=(1, 2), stop=(9, 20), step=(2, 3))
    reshaped = source(0, (2, 2, 6))
    split = source(0, (4, 2, 3))
    repeated, flipped, swapped = source(0, (6,)), source(0, (4, 6)), source(0, (3, 4, 2))
    return {
        "slice": (slices, strided),
        "reshape": (reshaped, build.reshape(reshaped, (4, 6))),
        "ones": (split, build.reshape(build.reshape(split, (4, 1, 6)), (4, 6))),
        "broadcast": (repeated, build.expand(repeated, (4, 6), (1,))),
        "flip": (flipped, TABLE["flip"](flipped, axes=(1,))),
        "unmergeable": (swapped, build.reshape(build.transpose(swapped, (1, 0, 2)), (4, 6))),
    }


@pytest.mark.parametrize("name", moved())
def test_movement_is_absorbed(name: str) -> None:
    given, operand = moved()[name]
    other = source(1, (6, 18))
    check(Graph(name, (given, other), (contract(operand, other),)))
    left = source(1, (5, 4))
    turned = contract(left, operand)
    check(Graph(name, (given, left), (turned,)))
    problem = analyse(turned, (given, left))
    assert (problem.b.strided is None) == (name in ("flip", "unmergeable"))


def slid(sizes: Shape, channels: Size, stride: int = 1, dtype: DType = dtypes.float32) -> Node:
    """The windows of two padded images, 3 by 2, of so many channels: (2, c, y, x, 3, 2)."""
    images = source(0, (2, channels, *sizes), dtype)
    low, high, none = (0, 0, 1, 0), (0, 0, 1, 1), (0, 0, 0, 0)
    padded = TABLE["pad"](images, build.zero(dtype), low=low, high=high, interior=none)
    each = {"sizes": (3, 2), "strides": (stride, 1), "dilation": (1, stride)}
    return TABLE["window"](padded, axes=(2, 3), **each)


def convolution(windows: Node, outputs: Size, kind: str) -> Graph:
    """Windows as the second operand, as the first, and summed over their places."""
    _, channels, *places, rows, columns = windows.type.shape
    images = windows.inputs[0].inputs[0]
    dtype = windows.type.dtype
    if kind == "gradient":
        g = source(1, (2, *places, outputs), dtype)
        product = contract(g, windows, contracted=((0, 1, 2), (0, 2, 3)))
        return Graph(kind, (images, g), (product,))
    weight = source(1, (outputs, channels, rows, columns), dtype)
    pair = ((1, 2, 3), (1, 4, 5))
    if kind == "first":
        product = contract(windows, weight, contracted=pair[::-1])
        return Graph(kind, (images, weight), (product,))
    repeated = build.expand(weight, (2, *weight.type.shape), (1, 2, 3, 4))
    batch, pair = ((0,), (0,)), ((2, 3, 4), (1, 4, 5))
    whole = contract(repeated, windows, batch, pair)
    return Graph(kind, (images, weight), (whole,))


KINDS = ("second", "first", "gradient")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packing", [None, *Packing])
def test_windows_are_packed_as_they_are_read(kind: str, packing: Packing | None) -> None:
    for sizes, channels, outputs, stride in (
        ((9, 8), 3, 5, 1),
        ((7, 40), 2, 13, 2),
        ((3, 5), 200, 3, 1),
        ((6, 6), 180, 7, 1),
    ):
        graph = convolution(slid(sizes, channels, stride), outputs, kind)
        (product,) = graph.outputs
        problem = analyse(product, graph.inputs)
        assert problem.a.slides == (kind == "first") and problem.b.slides != problem.a.slides
        if packing is None:
            check(graph)
            assert not choose(problem, host()).pack_a or not problem.a.slides
            continue
        for own_a in {problem.a.slides, False}:
            tiling = Tiling(4, 16, 2, 2, not own_a, packing, own_a=own_a)
            check(graph, tiling=tiling)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [dtypes.float64, dtypes.int32])
def test_windows_of_any_size(kind: str, dtype: DType) -> None:
    y, x, c, o = map(Dim.symbol, "yxco")
    graph = convolution(slid((y + 1, x + 2), c, 2, dtype), o, kind)
    for sizes in ((3, 4, 2, 5), (8, 33, 3, 1), (1, 9, 0, 4), (2, 1, 300, 3)):
        check(graph, dict(zip("yxco", sizes)))


def test_the_windows_of_a_convolution_take_no_scratch() -> None:
    for kind in ("second", "first"):
        graph = convolution(slid((56, 56), 64), 64, kind)
        low = lower_contraction(kernel_of(graph), AVX512, "contraction")
        assert sum(map(int, map(str, low.scratch))) <= 64 * 64 * 6 * 8


# ---------------------------------------------------------------------------------------------
# Epilogues
# ---------------------------------------------------------------------------------------------


def dense(m: Size, k: Size, n: Size, **more: bool) -> Graph:
    """relu(a @ b + bias) - residual, rounded to integers, and two values on the way."""
    a, b, bias, residual = source(0, (m, k)), source(1, (k, n)), source(2, (n,)), source(3, (m, n))
    product = contract(a, b, **more)
    shifted = build.call("add", product, build.expand(bias, (m, n), (1,)))
    zero = build.expand(build.constant(0.0, dtypes.float32), (m, n), ())
    active = build.call("maximum", shifted, zero)
    rest = build.call("sub", active, residual)
    return Graph(
        "dense", (a, b, bias, residual), (build.convert(rest, dtypes.int32), product, active)
    )


@pytest.mark.parametrize("packing", Packing)
@pytest.mark.parametrize("sizes", [(13, 20, 70), (6, 1500, 33)])
def test_epilogue(sizes: tuple[int, int, int], packing: Packing) -> None:
    check(dense(*sizes), tiling=Tiling(6, 32, 2, 1, False, packing))


def test_symbolic_epilogue() -> None:
    check(dense(M, K, N), {"m": 10, "k": 20, "n": 67})


def test_exact_elementary_epilogue() -> None:
    a, b = source(0, (6, 8)), source(1, (8, 40))
    graph = Graph("tanh", (a, b), (build.call("tanh", contract(a, b)),))
    check(graph)


# ---------------------------------------------------------------------------------------------
# The loop level
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", Packing)
@pytest.mark.parametrize("sizes", [(5, 7, 18), (1, 7, 16), (3, 1030, 5), (2, 0, 3)])
def test_loop_interpreter_agrees(sizes: tuple[int, int, int], packing: Packing) -> None:
    graph = dense(*sizes)
    arrays = [draw(node, {}, seed) for seed, node in enumerate(graph.inputs)]
    expected = interpret_graph(graph, arrays, {})
    tiling = Tiling(2, 16, 2, 1, packing is Packing.SHARED, packing)
    low = lower_contraction(kernel_of(graph), AVX512, "contraction", tiling)
    widened = simplify(widen(low.function, AVX512))
    verify(widened, widened=True)
    for function in (low.function, widened):
        results = outputs_of(low, len(arrays), {})
        assert interpret_loops(function, [*arrays, *results], []) is None
        for found, wanted in zip(results, expected):
            assert_same_bits(found, np.asarray(wanted))


def test_one_column_is_summed() -> None:
    """The loops of a marked product fit its size, also where that is known."""
    shapes = ((5, 1, 70), (1, 1, 1), (0, 1, 3), (3, 1, 0), (5, 0, 3), (5, 2, 70), (2, 40, 9))
    for n in (N, 1, 7):
        graph = dense(M, K, n, column_sum=True)
        low = lower_contraction(kernel_of(graph), AVX512, "contraction")
        widened = simplify(widen(low.function, AVX512))
        verify(widened, widened=True)
        for shape in shapes:
            sizes = dict(zip("mnk", shape, strict=True))
            check(graph, sizes)
            arrays = [draw(node, sizes, seed) for seed, node in enumerate(graph.inputs)]
            results = outputs_of(low, len(arrays), sizes)
            extents = [value(s, sizes) for s in low.sizes]
            assert interpret_loops(widened, [*arrays, *results], extents) is None
            for found, wanted in zip(results, interpret_graph(graph, arrays, sizes)):
                assert_same_bits(found, np.asarray(wanted))


# ---------------------------------------------------------------------------------------------
# Choices
# ---------------------------------------------------------------------------------------------


def chosen(graph: Graph) -> Tiling:
    return choose(analyse(graph.outputs[0], graph.inputs), AVX512)


@pytest.mark.parametrize(
    ("columns", "last"), [(100, (32, 16)), (112, (32, 16)), (127, ()), (128, ())]
)
def test_the_last_panel_has_no_more_vectors_than_columns_for_them(
    columns: int, last: tuple[int, ...]
) -> None:
    """In powers of two, which is what LLVM has registers for: a vector of 48 lanes is made 64."""
    tiling = chosen(matmul(100, 1000, columns))
    assert (tiling.lanes, tiling.last) == (64, last)


def test_square_products_use_the_full_tile() -> None:
    for size in (256, 512, 1024, 2048):
        tiling = chosen(matmul(size, size, size))
        assert (tiling.rows, tiling.lanes) == (6, 64)


def test_few_columns_use_few_lanes() -> None:
    assert chosen(matmul(64, 128, 10)).lanes == 16


def test_large_products_make_tasks_for_threads() -> None:
    for size in (512, 1024, 2048):
        tiling = chosen(matmul(size, size, size))
        strips, panels = -(-size // tiling.rows), -(-size // tiling.lanes)
        assert -(-strips // tiling.strips) * -(-panels // tiling.panels) >= 8


def test_work_grows_with_the_sizes() -> None:
    kernels = [kernel_of(matmul(size, size, size)) for size in (64, 128, 256)]
    work = [lower_contraction(kernel, AVX512, "k").work for kernel in kernels]
    assert all(isinstance(w, int) for w in work)
    assert all(7 < b / a < 9 for a, b in pairwise(work))
