"""Every scalar operation, on every dtype, compiled at several widths, against its meaning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits
from tests.compiler.codegen.native import Array, baseline, elementwise, run

from weftc.codegen.llvm.scalar import RULES
from weftc.loop import ir
from weftc.loop.ir import Const, Expr, LoopType, Op, Scalar, Splat, Var
from weftc.loop.scalar import evaluate, evaluate_expr
from weftrt import dtypes
from weftrt.cpu.host import host
from weftrt.dtypes import DType, Kind
from weftrt.target import Target

LANES = (1, 2, 16, 64)
TARGETS = (host, baseline)
SPECIAL = (Scalar.CAST, Scalar.BITCAST, Scalar.SELECT, Scalar.LDEXP, Scalar.FMA)
COMPARISONS = (Scalar.EQ, Scalar.NE, Scalar.LT, Scalar.LE, Scalar.GT, Scalar.GE)


def edges(dtype: DType) -> Array:
    """Values where things go wrong, and a few dull ones; 23 of them at most."""
    if dtype.kind is Kind.BOOL:
        return np.array([False, True])
    if not dtype.is_float:
        info = np.iinfo(dtype.dtype)
        low = [info.min, info.min + 1, -1, -2, -7] if dtype.is_signed else [5, 6]
        values = [0, 1, 2, 3, 7, 100, info.max, info.max - 1, info.max // 2, *low]
        return np.array(values, dtype=dtype.dtype)
    info = np.finfo(dtype.dtype)
    values = [0.0, 0.5, 1.0, 1.5, 2.5, 3.7, 1e9, 2.0**31, 2.0**63, 2.0**52 + 0.5, 255.9, 4e30]
    values += [float(info.max), float(info.tiny), float(info.smallest_subnormal) * 3, np.inf]
    values += [float(info.max) / 3, 1 / 3, 1e-3, float(info.tiny) * 1.5, 2.0**32]
    both = [sign * value for value in values for sign in (1, -1)]
    return np.array([*both, np.nan], dtype=dtype.dtype)


def pairs(dtype: DType) -> tuple[Array, Array]:
    """Every pair of edge values, and not a whole number of vectors."""
    values = edges(dtype)
    a, b = (grid.ravel() for grid in np.meshgrid(values, values))
    extra = 5 if len(a) % 2 == 0 else 2
    return np.concatenate([a, a[:extra]]), np.concatenate([b, b[:extra]])


def legal(op: Scalar, dtype: DType, a: Array, b: Array) -> Array:
    """`b` where the operation is defined on (a, b), else something harmless."""
    if op in (Scalar.SHL, Scalar.SHR):
        return (np.abs(b.astype(np.int64)) % dtype.bits).astype(b.dtype)
    if op in (Scalar.TDIV, Scalar.TREM):
        bad = b == 0
        if dtype.is_signed:
            bad |= (a == np.iinfo(a.dtype).min) & (b == -1)
        return np.where(bad, np.array(3, b.dtype), b)
    return b


def nonzero(divisor: Expr) -> Expr:
    """Lanes that are masked off read 0, and division runs in every lane: ops guard it, so."""
    zero, one = (Const(value, divisor.type) for value in (0, 1))
    return ir.apply(Scalar.SELECT, ir.apply(Scalar.EQ, divisor, zero), one, divisor)


def plain_operations(dtype: DType) -> list[Scalar]:
    return [op for op in RULES[dtype.kind] if op not in SPECIAL]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", dtypes.REAL, ids=str)
def test_operations(dtype: DType, lanes: int, target: object) -> None:
    a, b = pairs(dtype)
    inputs, outputs, expected = {"a": a}, {}, {}
    for op in plain_operations(dtype):
        second = legal(op, dtype, a, b)
        inputs[f"b_{op!r}"] = second
        args: list[Expr] = [Var(name, LoopType(dtype, lanes)) for name in ("a", f"b_{op!r}")]
        if op in (Scalar.TDIV, Scalar.TREM):
            args[1] = nonzero(args[1])
        result = dtypes.bool_ if op in COMPARISONS else dtype
        type_ = LoopType(result, lanes)
        expected[op] = evaluate(op, [a, second][: op.arity], result)
        outputs[f"r_{op!r}"] = (Op(op, tuple(args[: op.arity]), type_), np.zeros_like(expected[op]))
    function, arrays, sizes = elementwise(inputs, outputs, lanes)
    run(function, arrays, sizes, resolve(target))
    for op, value in expected.items():
        assert_same_bits(outputs[f"r_{op!r}"][1], value)


def resolve(target: object) -> Target:
    assert callable(target)
    found = target()
    assert isinstance(found, Target)
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", dtypes.REAL, ids=str)
def test_casts(dtype: DType, lanes: int, target: object) -> None:
    a = np.concatenate([edges(dtype), edges(dtype)[:1]])
    source = Var("a", LoopType(dtype, lanes))
    outputs = {}
    for to in dtypes.REAL:
        outputs[f"cast_{to}"] = (ir.cast(source, to), np.zeros(a.shape, to.dtype))
        if to.bits == dtype.bits and dtypes.bool_ not in (to, dtype):
            outputs[f"bits_{to}"] = (ir.bitcast(source, to), np.zeros(a.shape, to.dtype))
    function, arrays, sizes = elementwise({"a": a}, outputs, lanes)
    run(function, arrays, sizes, resolve(target))
    for name, (_, found) in outputs.items():
        op = Scalar.CAST if name.startswith("cast") else Scalar.BITCAST
        to = dtypes.from_numpy(found.dtype)
        assert to is not None
        assert_same_bits(found, evaluate(op, [a], to))


def ldexp_cases(dtype: DType, exponent: DType) -> tuple[Array, Array]:
    x = np.array([0.25, 1.0, 1.0 + 2**-20, 1.7, 2.999, 4.0, 0.0, np.inf], dtype.dtype)
    x = np.concatenate([x, -x, [np.nan]]).astype(dtype.dtype)
    top = np.iinfo(exponent.dtype).max
    small = [*range(-160, -120), *range(-1080, -1015), *range(120, 135), *range(1015, 1030)]
    n = np.array([0, 1, -1, 300, -300, 3000, -3000, top, -top - 1, *small], exponent.dtype)
    grid = np.meshgrid(x, n)
    return grid[0].ravel(), grid[1].ravel()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=str)
def test_ldexp(dtype: DType, lanes: int, target: object) -> None:
    for exponent in (dtypes.int32, dtypes.int64):
        x, n = ldexp_cases(dtype, exponent)
        args = (Var("x", LoopType(dtype, lanes)), Var("e", LoopType(exponent, lanes)))
        outputs = {"r": (ir.apply(Scalar.LDEXP, *args), np.zeros_like(x))}
        function, arrays, sizes = elementwise({"x": x, "e": n}, outputs, lanes)
        run(function, arrays, sizes, resolve(target))
        assert_same_bits(outputs["r"][1], evaluate(Scalar.LDEXP, [x, n], dtype))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=str)
def test_fma_and_select(dtype: DType, lanes: int, target: object) -> None:
    a, b = pairs(dtype)
    c = np.roll(a, 3)
    va, vb, vc = (Var(name, LoopType(dtype, lanes)) for name in "abc")
    zero: Expr = Const(0.0, LoopType(dtype, lanes))
    picked = ir.apply(Scalar.SELECT, ir.apply(Scalar.LT, va, zero), vb, vc)
    fused = (ir.apply(Scalar.FMA, va, vb, vc), np.zeros_like(a))
    outputs = {"fma": fused, "select": (picked, np.zeros_like(a))}
    function, arrays, sizes = elementwise({"a": a, "b": b, "c": c}, outputs, lanes)
    run(function, arrays, sizes, resolve(target))
    assert_same_bits(outputs["fma"][1], evaluate(Scalar.FMA, [a, b, c], dtype))
    assert_same_bits(outputs["select"][1], np.where(a < 0, b, c))


def test_products_are_not_contracted() -> None:
    """a*b + c rounds twice, also where one expression holds both."""
    rng = np.random.default_rng(1)
    a, b, c = (rng.standard_normal(1000).astype(np.float32) for _ in range(3))
    va, vb, vc = (Var(name, LoopType(dtypes.float32, 16)) for name in "abc")
    expr = ir.apply(Scalar.ADD, ir.apply(Scalar.MUL, va, vb), vc)
    outputs = {"r": (expr, np.zeros_like(a))}
    function, arrays, sizes = elementwise({"a": a, "b": b, "c": c}, outputs, 16)
    run(function, arrays, sizes)
    assert_same_bits(outputs["r"][1], a * b + c)
    assert not np.array_equal(a * b + c, evaluate(Scalar.FMA, [a, b, c], dtypes.float32))


# ---------------------------------------------------------------------------------------------
# Random expressions
# ---------------------------------------------------------------------------------------------

BINARY = (Scalar.ADD, Scalar.SUB, Scalar.MUL, Scalar.MINIMUM, Scalar.MAXIMUM, Scalar.LT, Scalar.EQ)


@st.composite
def expressions(draw: st.DrawFn, dtype: DType) -> Expr:
    """A scalar expression over a and b, with shared parts."""
    pool: list[Expr] = [Var("a", LoopType(dtype)), Var("b", LoopType(dtype))]
    pool.append(Const(draw(st.integers(0, 100)), LoopType(dtype)))
    for _ in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from(BINARY))
        left, right = (pool[draw(st.integers(0, len(pool) - 1))] for _ in range(2))
        node = ir.apply(op, left, right)
        if node.type.dtype is dtypes.bool_:
            node = ir.apply(Scalar.SELECT, node, right, left)
        pool.append(node)
    return pool[-1]


def with_lanes(root: Expr, lanes: int) -> Expr:
    """The expression with its variables and constants widened."""
    done: dict[Expr, Expr] = {}

    def visit(node: Expr) -> Iterator[Expr]:
        type_ = LoopType(node.type.dtype, lanes)
        if isinstance(node, Const):
            done[node] = Splat(node, type_) if lanes > 1 else node
        elif isinstance(node, Var):
            done[node] = Var(node.name, type_)
        elif isinstance(node, Op):
            yield from (arg for arg in node.args if arg not in done)
            done[node] = Op(node.op, tuple(done[arg] for arg in node.args), type_)

    def walk(node: Expr) -> None:
        if node not in done:
            for child in node.args if isinstance(node, Op) else ():
                walk(child)
            list(visit(node))

    walk(root)
    return done[root]


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from(dtypes.REAL[1:]), st.sampled_from(LANES))
def test_random_expressions(data: st.DataObject, dtype: DType, lanes: int) -> None:
    expr = data.draw(expressions(dtype))
    a, b = pairs(dtype)
    names = dict(_variables(expr, {"a": a, "b": b}))
    outputs = {"r": (with_lanes(expr, lanes), np.zeros_like(a))}
    function, arrays, sizes = elementwise({"a": a, "b": b}, outputs, lanes)
    run(function, arrays, sizes)
    expected = np.broadcast_to(evaluate_expr(expr, names), a.shape)
    assert_same_bits(outputs["r"][1], np.ascontiguousarray(expected))


def _variables(root: Expr, values: dict[str, Array]) -> Iterator[tuple[Var, Array]]:
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Var):
            yield node, values[node.name]
        stack.extend(node.args if isinstance(node, Op) else ())
