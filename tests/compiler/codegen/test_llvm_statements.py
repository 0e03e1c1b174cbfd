"""Loops, memory and calls of the widened loop IR, compiled and run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.codegen.native import baseline, run

from weftc.codegen.llvm import emit
from weftc.loop import ir
from weftc.loop.ir import (
    BOOL,
    INDEX,
    Alloc,
    Barrier,
    Buffer,
    Call,
    Carry,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    LoopFunction,
    LoopKind,
    LoopType,
    Op,
    Ramp,
    Scalar,
    Space,
    Splat,
    Store,
    Tree,
    Var,
    const,
)
from weftc.loop.scalar import evaluate
from weftrt import dtypes
from weftrt.cpu.host import host
from weftrt.dtypes import DType
from weftrt.errors import CompileError
from weftrt.target import Target

F32, I64 = dtypes.float32, dtypes.int64
N, I, J = Var("n", INDEX), Var("i", INDEX), Var("j", INDEX)


def lanes(dtype: DType, count: int) -> LoopType:
    return LoopType(dtype, count)


def floats(count: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def scalar_sum(x: Buffer, init: Expr, kind: LoopKind, stop: Expr) -> tuple[For, Var]:
    """total = init + x[0] + x[1] + ... in order."""
    running, total = Var("running", lanes(F32, 1)), Var("total", lanes(F32, 1))
    step = ir.apply(Scalar.ADD, running, Load(x, J, lanes(F32, 1)))
    carry = Carry(running, init, step, total)
    return For(J, const(0), stop, (), kind, carried=(carry,)), total


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("kind", [LoopKind.SERIAL, LoopKind.UNROLLED])
def test_carried_values(kind: LoopKind, count: int) -> None:
    """A loop that does not run gives the initial value."""
    x, y = Buffer("x", F32), Buffer("y", F32)
    bound = const(count) if kind is LoopKind.UNROLLED else N
    loop, total = scalar_sum(x, ir.const(0.5, F32), kind, bound)
    function = LoopFunction("sum", (x, y), (N,), (loop, Store(y, const(0), total)))
    data, result = floats(max(count, 1)), np.zeros(1, np.float32)
    run(function, [data, result], [count])
    expected = np.float32(0.5)
    for value in data[:count]:
        expected += value
    assert result[0] == expected


def test_swapped_carries_read_the_old_values() -> None:
    """Every `next` is taken before any carried value changes."""
    y = Buffer("y", I64)
    a, b, p, q = (Var(name, INDEX) for name in "abpq")
    carried = (Carry(a, const(1), b, p), Carry(b, const(2), a, q))
    body = (For(I, const(0), N, (), carried=carried), Store(y, const(0), p), Store(y, const(1), q))
    for count, expected in ((0, [1, 2]), (1, [2, 1]), (2, [1, 2])):
        result = np.zeros(2, np.int64)
        run(LoopFunction("swap", (y,), (N,), body), [result], [count])
        assert result.tolist() == expected


def test_carried_vectors_through_branches() -> None:
    """The block a loop ends in is not the one it began in."""
    x, y = Buffer("x", F32), Buffer("y", F32)
    wide = lanes(F32, 16)
    running, total = Var("running", wide), Var("total", wide)
    even = ir.apply(Scalar.EQ, ir.apply(Scalar.TREM, I, const(32)), const(0))
    loaded = Load(x, I, wide)
    step = ir.apply(Scalar.ADD, running, loaded)
    body = (If(even, (Store(y, I, loaded),), (Store(y, I, Splat(ir.const(-1.0, F32), wide)),)),)
    zero = Splat(ir.const(0.0, F32), wide)
    loop = For(I, const(0), N, body, step=16, carried=(Carry(running, zero, step, total),))
    end = Store(y, N, total)
    data, result = floats(64), np.zeros(80, np.float32)
    run(LoopFunction("f", (x, y), (N,), (loop, end)), [data, result], [64])
    blocks = data.reshape(4, 16)
    assert_same_bits(result[64:], ((blocks[0] + blocks[1]) + blocks[2]) + blocks[3])
    assert_same_bits(result[:16], blocks[0])
    assert (result[16:32] == -1).all() and (result[48:64] == -1).all()


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("size", [0, 1, 10])
@pytest.mark.parametrize("static", [False, True])
def test_parallel_loops_capture_what_they_read(step: int, size: int, static: bool) -> None:
    y, x = Buffer("y", I64), Buffer("x", I64)
    scale, flag = Var("scale", INDEX), Var("flag", BOOL)
    value = ir.apply(Scalar.MUL, ir.apply(Scalar.ADD, Load(x, const(0), INDEX), I), scale)
    body = (Store(y, I, ir.apply(Scalar.SELECT, flag, value, const(0))),)
    stop = const(size) if static else N
    loop = For(I, const(1), stop, body, LoopKind.PARALLEL, step, grain=const(2))
    lets = (Let(scale, const(7)), Let(flag, ir.apply(Scalar.GT, Load(x, const(0), INDEX), scale)))
    result, given = np.full(11, -1), np.array([100])
    run(LoopFunction("p", (y, x), (N,), (*lets, loop)), [result, given], [size])
    expected = np.full(11, -1)
    for i in range(1, size, step):
        expected[i] = (100 + i) * 7
    np.testing.assert_array_equal(result, expected)


def test_local_buffers_inside_parallel_loops() -> None:
    """Each thread has its own, aligned to 64 bytes, and bools are bytes in it."""
    y = Buffer("y", I64)
    local = Buffer("local", I64, Space.LOCAL, 8, 64)
    flags = Buffer("flags", dtypes.bool_, Space.LOCAL, 8, 64)
    fill = (
        Store(local, J, ir.apply(Scalar.MUL, I, J)),
        Store(flags, J, ir.apply(Scalar.GT, J, const(3))),
    )
    picked = ir.apply(Scalar.SELECT, Load(flags, J, BOOL), Load(local, J, INDEX), const(-1))
    row = ir.add(ir.mul(I, const(8)), J)
    body = (
        Alloc(local),
        Alloc(flags),
        For(J, const(0), const(8), fill),
        For(J, const(0), const(8), (Store(y, row, picked),), LoopKind.UNROLLED),
    )
    loop = For(I, const(0), N, body, LoopKind.PARALLEL)
    result = np.zeros((5, 8), np.int64)
    run(LoopFunction("p", (y,), (N,), (loop,)), [result], [5])
    expected = np.fromfunction(lambda i, j: np.where(j > 3, i * j, -1), (5, 8), dtype=np.int64)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("target", [host, baseline])
@pytest.mark.parametrize("count", [1, 4, 16, 64])
@pytest.mark.parametrize("dtype", [F32, dtypes.uint8, dtypes.bool_], ids=str)
def test_gather_and_scatter(dtype: DType, count: int, target: Callable[[], Target]) -> None:
    """Masked lanes are neither read nor written, and read as 0."""
    x, k, y = Buffer("x", dtype), Buffer("k", I64), Buffer("y", dtype)
    index: Expr = Load(k, const(0), lanes(I64, count))
    zero: Expr = const(0) if count == 1 else Splat(const(0), lanes(I64, count))
    mask = ir.apply(Scalar.GE, index, zero)
    seen = Load(x, index, lanes(dtype, count), mask)
    back = Store(y, index, seen, mask)
    straight = Store(y, const(100), seen)
    where = np.random.default_rng(2).permutation(100)[:count].astype(np.int64)
    where[::3] = -(10**12)
    data = (np.arange(100) % 2 == 0) if dtype is dtypes.bool_ else np.arange(1, 101)
    data = data.astype(dtype.dtype)
    result = np.zeros(100 + count, dtype.dtype)
    run(LoopFunction("g", (x, k, y), (), (back, straight)), [data, where, result], [], target())
    expected = np.zeros(100 + count, dtype.dtype)
    inside = where >= 0
    expected[where[inside]] = data[where[inside]]
    expected[100:] = np.where(inside, data[np.where(inside, where, 0)], 0)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("target", [host, baseline])
@pytest.mark.parametrize("op", [Scalar.ADD, Scalar.MUL, Scalar.MINIMUM, Scalar.MAXIMUM])
@pytest.mark.parametrize("dtype", [F32, dtypes.float64, I64], ids=str)
def test_tree(dtype: DType, op: Scalar, target: Callable[[], Target]) -> None:
    x, y = Buffer("x", dtype), Buffer("y", dtype)
    stores = tuple(
        Store(y, const(k), Tree(op, Load(x, const(0), lanes(dtype, 1 << k)), lanes(dtype, 1)))
        for k in range(7)
    )
    data = (floats(64) * 3).astype(dtype.dtype)
    result = np.zeros(7, dtype.dtype)
    run(LoopFunction("t", (x, y), (), stores), [data, result], [], target())
    for k in range(7):
        part = data[: 1 << k]
        while len(part) > 1:
            part = evaluate(op, [part[: len(part) // 2], part[len(part) // 2 :]], dtype)
        assert_same_bits(result[k : k + 1], part)


def test_bool_trees_and_bytes_that_are_not_0_or_1() -> None:
    x, y = Buffer("x", dtypes.bool_), Buffer("y", dtypes.bool_)
    wide = lanes(dtypes.bool_, 16)
    stores = tuple(
        Store(y, const(k), Tree(op, Load(x, const(0), wide), BOOL))
        for k, op in enumerate((Scalar.AND, Scalar.OR))
    )
    for given, expected in (([0] * 16, [0, 0]), ([0] * 15 + [2], [0, 1]), ([255] * 16, [1, 1])):
        result = np.zeros(2, np.uint8)
        run(LoopFunction("t", (x, y), (), stores), [np.array(given, np.uint8), result])
        assert result.tolist() == expected


@pytest.mark.parametrize("dtype", [dtypes.bool_, F32, dtypes.float64])
@pytest.mark.parametrize("inside", [0, 1, 7, 8, None])
def test_a_load_that_runs_backwards_is_contiguous(dtype: DType, inside: int | None) -> None:
    """And reads nothing below the elements of the lanes that are on."""
    x, y, wide = Buffer("x", dtype), Buffer("y", dtype), lanes(dtype, 8)
    mask = None
    if inside is not None:
        count = const(inside, dtypes.int64, 8)
        mask = ir.apply(Scalar.LT, Ramp(const(0), lanes(I64, 8)), count)
    first = 7 if inside is None else inside - 1
    load = Load(x, Ramp(const(first), lanes(I64, 8), -1), wide, mask)
    function = LoopFunction("t", (x, y), (), (Store(y, const(0), load),))
    data = (floats(8) > 0 if dtype is dtypes.bool_ else floats(8)).astype(dtype.dtype)
    result, expected = np.ones(8, dtype.dtype), np.zeros(8, dtype.dtype)
    expected[: first + 1] = data[first::-1] if first >= 0 else []
    run(function, [data, result], [])
    assert_same_bits(result, expected)
    assert "gather" not in emit(function, baseline(), "t")


@pytest.mark.parametrize("dtype", [dtypes.bool_, dtypes.uint8, F32, dtypes.float64])
@pytest.mark.parametrize("count", [2, 8, 64])
@pytest.mark.parametrize("named", [False, True])
def test_a_load_of_every_other_element_is_two_loads(dtype: DType, count: int, named: bool) -> None:
    """And reads nothing beyond the last of them: what follows is another array."""
    x, y, wide = Buffer("x", dtype), Buffer("y", dtype), lanes(dtype, count)
    ramp = Ramp(const(3), lanes(I64, count), 2)
    at = Var("at", lanes(I64, count)) if named else ramp
    store = Store(y, const(0), Load(x, at, wide))
    body = (Let(at, ramp), store) if isinstance(at, Var) else (store,)
    function = LoopFunction("t", (x, y), (), body)
    drawn = floats(2 * count + 2)
    data = (drawn > 0 if dtype is dtypes.bool_ else np.abs(drawn) * 9).astype(dtype.dtype)
    result = np.zeros(count, dtype.dtype)
    run(function, [data, result], [])
    assert_same_bits(result, data[3::2])
    assert "gather" not in emit(function, baseline(), "t")


@pytest.mark.parametrize("dtype", [dtypes.bool_, dtypes.uint8, F32, dtypes.float64])
@pytest.mark.parametrize("count", [2, 8, 32])
@pytest.mark.parametrize("uniform", [False, True])
def test_a_masked_load_of_every_other_element_reads_no_others(
    dtype: DType, count: int, uniform: bool
) -> None:
    x, y, wide = Buffer("x", dtype), Buffer("y", dtype), lanes(dtype, count)
    ramp, drawn = Ramp(const(0), lanes(I64, count), 2), floats(2 * count)
    data = (drawn > 0 if dtype is dtypes.bool_ else np.abs(drawn) * 9).astype(dtype.dtype)
    for inside in {0, 1, count // 2, count - 1, count}:
        mask = ir.apply(Scalar.LT, Ramp(const(0), lanes(I64, count)), const(inside, I64, count))
        if uniform:
            mask = ir.apply(Scalar.LT, const(0), const(inside))
        load = Load(x, ramp, wide, mask)
        function = LoopFunction("t", (x, y), (), (Store(y, const(0), load),))
        read = np.ascontiguousarray(data[: max(2 * inside - 1, 0)])
        if uniform:
            read = data[: 2 * count - 1] if inside else data[:0]
        result, expected = np.ones(count, dtype.dtype), np.zeros(count, dtype.dtype)
        expected[: len(read[::2])] = read[::2]
        run(function, [read, result], [])
        assert_same_bits(result, expected)
    assert "gather" not in emit(function, baseline(), "t")


@pytest.mark.parametrize("step", [-3, -1, 2, 5])
def test_ramps_of_every_step(step: int) -> None:
    x, y, wide = Buffer("x", F32), Buffer("y", F32), lanes(F32, 4)
    index = Ramp(const(15 if step < 0 else 0), lanes(I64, 4), step)
    stores = (Store(y, index, Load(x, index, wide)),)
    data, result, expected = floats(16), np.zeros(16, np.float32), np.zeros(16, np.float32)
    expected[::step][:4] = data[::step][:4]
    run(LoopFunction("t", (x, y), (), stores), [data, result], [])
    assert_same_bits(result, expected)


@pytest.mark.parametrize("count", [1, 16])
def test_report_keeps_the_smallest_site_and_element(count: int) -> None:
    x, wide = Buffer("x", F32), lanes(F32, count)
    zero: Expr = ir.const(0.0, F32)
    element: Expr = I
    if count > 1:
        zero, element = Splat(zero, wide), Ramp(I, lanes(I64, count))
    failed = ir.apply(Scalar.LT, Load(x, I, wide), zero)
    late = Call("report", (ir.apply(Scalar.NE, failed, failed), const(1), element))
    body = (Call("report", (failed, const(3), element)), late)
    loop = For(I, const(0), N, body, step=count)
    function = LoopFunction("r", (x,), (N,), (loop,))
    data = np.ones(64, np.float32)
    assert run(function, [data], [64]) is None
    data[[50, 37, 38]] = -1
    assert run(function, [data], [64]) == (3, 37)
    both = LoopFunction("r", (x,), (N,), (loop, Call("report", (failed_at(x, 63), const(2), N))))
    assert run(both, [data], [64]) == (3, 37)
    data[63] = -1
    assert run(both, [data], [64]) == (2, 64)


def failed_at(x: Buffer, position: int) -> Expr:
    return ir.apply(Scalar.LT, Load(x, const(position), lanes(F32, 1)), ir.const(0.0, F32))


def test_parallel_report() -> None:
    x = Buffer("x", F32)
    failed = ir.apply(Scalar.LT, Load(x, I, lanes(F32, 1)), ir.const(0.0, F32))
    loop = For(I, const(0), N, (Call("report", (failed, const(0), I)),), LoopKind.PARALLEL)
    data = np.ones(9, np.float32)
    data[[4, 7]] = -1
    assert run(LoopFunction("r", (x,), (N,), (loop,)), [data], [9]) == (0, 4)


def test_hints_change_nothing() -> None:
    x, y = Buffer("x", F32, aligned=64), Buffer("y", F32, aligned=64)
    wide = lanes(F32, 32)
    body = (
        Call("prefetch", (ir.add(I, const(1 << 40)),), x),
        Store(y, I, Load(x, I, wide), nontemporal=True),
    )
    storage = np.zeros(128 + 16, np.float32)
    start = -storage.ctypes.data % 64 // 4
    result, data = storage[start : start + 128], floats(128)
    function = LoopFunction("h", (x, y), (N,), (For(I, const(0), N, body, step=32),))
    run(function, [data, result], [128])
    assert_same_bits(result, data)
    assert "!nontemporal" in emit(function, host(), "h")


def test_a_long_chain_is_written_without_recursion() -> None:
    y = Buffer("y", I64)
    value: Expr = N
    for _ in range(5000):
        value = Op(Scalar.ADD, (value, const(1)), INDEX)
    result = np.zeros(1, np.int64)
    run(LoopFunction("c", (y,), (N,), (Store(y, const(0), value),)), [result], [3])
    assert result[0] == 5003


def test_names_end_with_their_block() -> None:
    """The same name in two blocks is two values, and an outer one is not overwritten."""
    y, t = Buffer("y", I64), Var("t", INDEX)
    inner = (Let(t, const(5)), Store(y, const(1), t))
    condition = ir.apply(Scalar.GT, N, const(0))
    body = (Let(t, const(1)), If(condition, inner), Store(y, const(0), t))
    result = np.zeros(2, np.int64)
    run(LoopFunction("b", (y,), (N,), body), [result], [1])
    assert result.tolist() == [1, 5]


def test_constants_are_exact() -> None:
    values = [0.1, -0.0, float("inf"), float("-inf"), float("nan"), 1e-45, 3.4028235e38]
    for dtype in (F32, dtypes.float64):
        y = Buffer("y", dtype)
        stores = tuple(Store(y, const(k), ir.const(v, dtype)) for k, v in enumerate(values))
        result = np.zeros(len(values), dtype.dtype)
        run(LoopFunction("c", (y,), (), stores), [result])
        assert_same_bits(result, np.array(values, dtype.dtype))


@pytest.mark.parametrize(
    "body",
    [
        (Barrier(),),
        (For(I, const(0), N, (), LoopKind.VECTOR),),
        (For(I, const(0), N, (), LoopKind.UNROLLED),),
        (Call("nothing", ()),),
        (Alloc(Buffer("s", F32, Space.SHARED, 64)),),
        (Let(Var("v", lanes(F32, 1)), Const(True, BOOL)), Let(I, Op(Scalar.FMA, (N,), INDEX))),
    ],
)
def test_what_the_cpu_does_not_have(body: ir.Block) -> None:
    with pytest.raises(CompileError):
        emit(LoopFunction("bad", (), (N,), body), host(), "bad")


def test_no_fast_math() -> None:
    """The text never allows LLVM to change a value."""
    x = Buffer("x", F32)
    wide = lanes(F32, 16)
    chain = Load(x, const(0), wide)
    product = ir.apply(Scalar.MUL, chain, chain)
    text = emit(
        LoopFunction("f", (x,), (), (Store(x, const(0), ir.apply(Scalar.ADD, product, chain)),)),
        host(),
        "f",
    )
    for flag in ("fast", "contract", "reassoc", "nnan", "ninf", "nsz", "arcp", "afn", "fmuladd"):
        assert flag not in text


def test_golden(golden: Callable[[str, str], None]) -> None:
    """y[i] = maximum(x[i] * 2.5 + y[i], -1): a parallel loop over vectors, for a fixed target."""
    x, y = Buffer("x", F32), Buffer("y", F32)
    wide = lanes(F32, 8)
    scaled = ir.apply(Scalar.MUL, Load(x, I, wide), Splat(ir.const(2.5, F32), wide))
    total = ir.apply(Scalar.ADD, scaled, Load(y, I, wide))
    value = ir.apply(Scalar.MAXIMUM, total, Splat(ir.const(-1.0, F32), wide))
    whole = ir.apply(Scalar.AND, N, const(-8))
    loop = For(I, const(0), whole, (Store(y, I, value),), LoopKind.PARALLEL, 8, grain=const(512))
    target = Target("x86_64-unknown-linux-gnu", ("avx2", "fma"), 256)
    golden("llvm/axpy.ll", emit(LoopFunction("axpy", (x, y), (N,), (loop,)), target, "axpy"))
