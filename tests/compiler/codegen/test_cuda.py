"""Kernels bound to blocks and threads: the bits of the CPU's loops, interpreted and as CUDA C."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.codegen import cuda_device, cuda_host
from tests.compiler.codegen.cuda_host import Array
from tests.compiler.schedule.kernels import TARGET, Inputs, draw
from tests.compiler.schedule.networks import (
    adam,
    cross_entropy,
    full,
    layer_norm,
    matmul,
    op,
    softmax,
)

from weftc import schedule
from weftc.codegen.cuda import emit
from weftc.fusion.clusters import fuse
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, value_of
from weftc.loop import ir
from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Buffer,
    Const,
    For,
    LoopFunction,
    LoopKind,
    Scalar,
    Space,
    Store,
    Var,
    const,
)
from weftc.loop.walk import statements
from weftc.ops import build
from weftc.schedule.cuda.bind import Unbound, bind
from weftc.schedule.lowered import Lowered
from weftrt import dtypes

N, M = Dim.symbol("n"), Dim.symbol("m")
SIZES = {"n": 5, "m": 70}
Output = Node | tuple[Node, ...]


@dataclass(frozen=True)
class Case:
    """A graph that fuses into one kernel or more."""

    name: str
    make: Callable[[Inputs], Output]

    def graph(self) -> Graph:
        inputs = Inputs()
        outputs = self.make(inputs)
        return inputs.graph(*(outputs if isinstance(outputs, tuple) else (outputs,)))


def _pointwise(x: Inputs) -> Node:
    a, b = x(N, M), x(N, M)
    return op("add", op("mul", op("sigmoid", a), b), op("sin", op("minimum", a, b)))


def _integers(x: Inputs) -> tuple[Node, ...]:
    a, b = x(N, M, dtype=dtypes.int32), x(N, M, dtype=dtypes.int32)
    big = op("mul", build.convert(a, dtypes.int64), build.convert(b, dtypes.int64))
    return op("floor_divide", a, b), op("shift_left", big, big), op("eq", a, b)


def _column_sum(x: Inputs) -> Node:
    return op("sum", op("exp", x(N, M)), axes=(0,))


def _whole(x: Inputs) -> tuple[Node, ...]:
    a = x(130, M)
    return op("sum", a, axes=(0, 1)), op("max", a, axes=(0, 1))


def _long(x: Inputs) -> tuple[Node, ...]:
    """Sums of more than two blocks: along a row, down columns, in each of several rows."""
    row, columns, rows = x(8300), x(8300, 2), x(2, 8300)
    centered = op("sub", rows, build.spread(op("sum", rows, axes=(1,)), (2, 8300), (1,)))
    return op("sum", row, axes=(0,)), op("sum", columns, axes=(0,)), centered


def _several(x: Inputs) -> tuple[Node, ...]:
    """Loops over sizes that have nothing to do with each other, in one kernel."""
    return op("exp", x(N)), op("neg", x(M)), op("sum", op("exp", x(N, M)), axes=(0,))


def _remainder(x: Inputs) -> tuple[Node, ...]:
    a, b = x(N, M), x(N, M)
    return op("remainder", a, b), op("floor_divide", a, b)


def _layer_norm(x: Inputs) -> Node:
    return layer_norm(x(N, 300), x(300), x(300))


def _cross_entropy(x: Inputs) -> Node:
    return cross_entropy(x(N, 40), x(N, dtype=dtypes.int64))


def _take(x: Inputs) -> Node:
    table, indices = x(30, 8), x(M, dtype=dtypes.int64)
    return op("mul", op("take", table, indices, axis=0), full(2.0, (M, 8)))


def _scatter(x: Inputs) -> Node:
    return op("scatter_add", x(7, 8), x(N, dtype=dtypes.int64), x(N, 8), axis=0)


def _running(x: Inputs) -> tuple[Node, ...]:
    """Along rows, side by side and left over, in pieces of fused ones, and down columns."""
    rows = op("cumulate", x(N, M), axis=1, kind="sum", reverse=False)
    pieces = op("cumulate", op("exp", x(2, 300)), axis=1, kind="max", reverse=True)
    columns = op("recurrence", x(40, M), x(40, M), axis=0, reverse=False)
    return rows, op("neg", pieces), columns


CASES = (
    Case("pointwise", _pointwise),
    Case("integers", _integers),
    Case("adam", lambda x: adam(x(600), x(600), x(600), x(600), x())),
    Case("several", _several),
    Case("column_sum", _column_sum),
    Case("whole", _whole),
    Case("long", _long),
    Case("remainder", _remainder),
    Case("softmax", lambda x: softmax(x(N, 200))),
    Case("softmax_symbolic", lambda x: softmax(x(N, M))),
    Case("layer_norm", _layer_norm),
    Case("cross_entropy", _cross_entropy),
    Case("take", _take),
    Case("scatter", _scatter),
    Case("running", _running),
)


@cache
def kernels() -> tuple[tuple[Lowered, LoopFunction | Unbound], ...]:
    """Every kernel of every case, as loops for the CPU and bound."""
    found = []
    for case in CASES:
        for number, kernel in enumerate(fuse(case.graph()).kernels):
            low = schedule.lower(kernel, TARGET, f"{case.name}_{number}")
            found.append((low, bind(low.function)))
    return tuple(found)


def arrays_of(low: Lowered) -> list[Array]:
    return [
        draw(node.type.shape, node.type.dtype, SIZES, seed) for seed, node in enumerate(low.buffers)
    ]


def extents(low: Lowered) -> list[int]:
    return [value_of(s, SIZES) for s in low.sizes]


def bound() -> Iterator[tuple[Lowered, LoopFunction]]:
    for low, function in kernels():
        if isinstance(function, LoopFunction):
            yield low, function


def test_what_is_bound() -> None:
    """Every case but those whose scratch or arrays a block cannot have."""
    names = {function.name.rsplit("_", 1)[0] for _, function in bound()}
    assert names == {case.name for case in CASES}


@pytest.mark.parametrize("order", Order)
def test_bound_loops_keep_the_bits(order: Order) -> None:
    """The interpreter also fails on a race, a missing barrier, or a read of what nobody wrote."""
    for low, function in bound():
        expected, found = arrays_of(low), arrays_of(low)
        status = interpret(low.function, expected, extents(low))
        assert interpret(function, found, extents(low), order) == status, function.name
        for wanted, got in zip(expected, found, strict=True):
            assert_same_bits(got, wanted)


def test_kinds_of_loops() -> None:
    """Only BLOCK loops at the top, THREAD loops inside; no CPU kind is left."""
    for _, function in bound():
        loops = [s for s in statements(function.body) if isinstance(s, For)]
        assert all(s.kind not in (LoopKind.VECTOR, LoopKind.PARALLEL) for s in loops)
        top = [s for s in function.body if isinstance(s, For)]
        assert top and all(s.kind is LoopKind.BLOCK for s in top)
        assert sum(s.kind is LoopKind.BLOCK for s in loops) == len(top)


def test_pointwise_kernels_need_no_barrier() -> None:
    (function,) = (f for _, f in bound() if f.name == "pointwise_0")
    assert not any(isinstance(s, Barrier) for s in statements(function.body))


def test_too_much_shared_memory() -> None:
    """48 KiB is what every GPU has: a kernel that needs more says so in the module's text."""
    big = Buffer("kept", dtypes.float32, Space.LOCAL, 12_289)
    i = Var("i", INDEX)
    loop = For(i, const(0), const(9), (Store(big, i, float_const(1.0)),), LoopKind.VECTOR)
    rows = For(Var("p", INDEX), const(0), const(3), (Alloc(big), loop), LoopKind.PARALLEL)
    found = bind(LoopFunction("wide", (), (), (rows,)))
    assert isinstance(found, Unbound) and "48 KiB" in found.reason
    assert "// wide has no CUDA schedule" in emit([found])


def test_a_contraction_says_that_it_has_no_schedule() -> None:
    """Its loops are vectors of the CPU already; the other kernels of its module are written."""
    inputs = Inputs()
    total = op("sum", op("exp", matmul(inputs(8, 8), inputs(8, 8))), axes=(0,))
    kernels = fuse(inputs.graph(total)).kernels
    loops = [schedule.lower(k, TARGET, f"{k.kind.value}_{n}") for n, k in enumerate(kernels)]
    written = emit([bind(low.function) for low in loops])
    assert "// contraction_0 has no CUDA schedule" in written
    assert "__global__" in written


def test_a_bound_that_is_a_choice_is_compared_as_a_whole() -> None:
    out, n, i = Buffer("out", dtypes.float32), Var("n", INDEX), Var("i", INDEX)
    several = ir.apply(Scalar.GT, n, const(7))
    stop = ir.apply(Scalar.SELECT, several, const(64), const(1))
    inner = For(i, const(0), stop, (Store(out, i, float_const(1.0)),))
    loop = For(Var("p", INDEX), const(0), const(1), (inner,), LoopKind.BLOCK)
    assert "i < ((n > 7) ? 64 : 1);" in emit([LoopFunction("choice", (out,), (n,), (loop,))])


def float_const(number: float) -> Const:
    return const(number, dtypes.float32)


@pytest.mark.parametrize("name", ["pointwise", "softmax", "column_sum"])
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    chosen = [f for low, f in kernels() if low.function.name == f"{name}_0"]
    golden(f"cuda/{name}.cu", emit(chosen))


Machine = type[cuda_host.Module] | type[cuda_device.Module]


@pytest.fixture(params=["threads", "gpu"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """What runs CUDA C: a thread of this machine for each of CUDA's, or a GPU."""
    if request.param == "gpu":
        reason = cuda_device.missing()
        if reason is not None:
            pytest.skip(reason)
        return cuda_device.Module
    if cuda_host.compiler() is None:
        pytest.skip("no C++ compiler")
    return cuda_host.Module


def scratch(low: Lowered) -> list[Array]:
    return [np.zeros(value_of(size, SIZES), np.uint8) for size in low.scratch]


def test_the_text_runs(machine: Machine, tmp_path: Path) -> None:
    """As compiled code, for other numbers of blocks too."""
    functions = [function for _, function in bound()]
    module = machine(emit(functions), functions, tmp_path)
    for blocks in (3,) if machine is cuda_host.Module else (1, 3, 264):
        for low, function in bound():
            expected, found = arrays_of(low), arrays_of(low)
            status = interpret(low.function, expected, extents(low))
            arrays = [*found, *scratch(low)]
            assert module.run(function, arrays, extents(low), blocks=blocks) == status
            for wanted, got in zip(expected, found, strict=True):
                assert_same_bits(got, wanted)


@pytest.mark.parametrize("name", ["take", "scatter"])
def test_the_first_index_out_of_bounds_is_reported(
    machine: Machine, name: str, tmp_path: Path
) -> None:
    ((low, function),) = ((low, f) for low, f in bound() if f.name == f"{name}_0")
    arrays = arrays_of(low)
    (indices,) = (a for a in arrays if a.dtype == np.int64)
    indices[[2, 4]] = 1 << 40, -99
    module = machine(emit([function]), [function], tmp_path)
    status = interpret(low.function, [a.copy() for a in arrays], extents(low))
    assert status is not None
    assert module.run(function, [*arrays, *scratch(low)], extents(low), blocks=3) == status


def launches(name: str) -> list[For]:
    """The loops over blocks of a kernel."""
    (function,) = (f for _, f in bound() if f.name == name)
    return [s for s in function.body if isinstance(s, For)]


def is_one_block(loop: For) -> bool:
    return isinstance(loop.stop, Const) and loop.stop.value == 1


def test_a_value_that_all_blocks_read_keeps_them_apart() -> None:
    """Adam reads its rate before its loop."""
    (loop,) = launches("adam_0")
    assert not is_one_block(loop)


def test_the_parts_of_a_long_sum_are_launched_before_their_sum() -> None:
    """Each in a block of its own, and one block adds up what they wrote."""
    assert [is_one_block(loop) for loop in launches("whole_0")] == [False, True]


def test_what_nobody_reads_is_not_written() -> None:
    """Each launch has those of the sizes of a kernel that it needs."""
    (function,) = (f for _, f in bound() if f.name == "several_0")
    first, second = emit([function]).split("__global__")[1:]
    assert "const i64 blocks =" in first and "const i64 blocks_1 =" not in first
    assert "const i64 blocks_1 =" in second and "const i64 blocks =" not in second


def test_nvcc_takes_the_text(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    source = tmp_path / "module.cu"
    source.write_text(emit([function for _, function in kernels()]))
    command = [nvcc, "--cubin", "-arch=sm_90", "--fmad=false", "-Werror=all-warnings"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "module.cubin"), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_special_values_in_reductions() -> None:
    """NaN, infinities and zeros of both signs go through the tree as on the CPU."""
    for low, function in bound():
        if function.name not in ("softmax_0", "whole_0", "column_sum_0"):
            continue
        edge = np.array([-0.0, 0.0, np.inf, np.nan, -np.inf, 1e-42], np.float32)
        expected, found = arrays_of(low), arrays_of(low)
        for arrays in (expected, found):
            arrays[0].reshape(-1)[: len(edge)] = edge
        interpret(low.function, expected, extents(low))
        interpret(function, found, extents(low))
        for wanted, got in zip(expected, found, strict=True):
            assert_same_bits(got, wanted)
