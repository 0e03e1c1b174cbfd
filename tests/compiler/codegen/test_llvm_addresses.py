"""Addresses a constant apart are written as one, and what a loop does not change before it."""

from __future__ import annotations

import re

import pytest

from weftc.codegen import llvm
from weftc.codegen.llvm.addresses import Linear, linear, of_operand, offset
from weftc.loop.ir import Expr, LoopType, Op, Scalar, Var, add, const, mul
from weftc.loop.parse import parse_function
from weftrt import dtypes
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", ("avx512f",), 512)
I, J = (Var(name, LoopType(dtypes.int64)) for name in "ij")


def _form(expr: Expr) -> Linear:
    def leaf(part: Expr) -> Linear:
        return of_operand(part.name if isinstance(part, Var) else "other")

    return linear(expr, leaf)


def _minus(a: Expr, b: Expr) -> Expr:
    return Op(Scalar.SUB, (a, b), a.type)


@pytest.mark.parametrize(
    "expr, terms, constant",
    [
        (const(7), {}, 7),
        (I, {"i": 1}, 0),
        (add(mul(I, const(64)), add(J, const(3))), {"i": 64, "j": 1}, 3),
        (mul(const(8), add(I, const(2))), {"i": 8}, 16),
        (_minus(add(I, J), I), {"j": 1}, 0),
        (_minus(const(0), I), {"i": -1}, 0),
        (mul(I, const(0)), {}, 0),
        (mul(I, J), {"other": 1}, 0),
        (add(mul(I, J), const(1)), {"other": 1}, 1),
    ],
)
def test_forms(expr: Expr, terms: dict[str, int], constant: int) -> None:
    assert _form(expr) == Linear(frozenset(terms.items()), constant)


def test_distances_wrap_as_addresses_do() -> None:
    form = _form(add(I, mul(const(1 << 62), const(4))))
    assert offset(form, 0) == 0
    assert offset(_form(add(I, const(5))), 8) == -3


def _loop(*body: str) -> list[str]:
    """Instructions of a nest of two loops, those before the inner one first."""
    head = "function f(x: global f32, y: global f32; n)"
    lines = [head, "  for i in 0 .. n", "    for j in 0 .. 64", *(f"      {line}" for line in body)]
    text = llvm.emit(parse_function("\n".join(lines) + "\n"), TARGET, "f")
    return re.findall(r"(?m)^  (.*(?:getelementptr float|freeze|br ).*)$", text)


def test_one_address_for_neighbours() -> None:
    found = _loop(
        "let t: i64 = (i * 64) + j",
        "let a: f32 = x[t] + x[t + 1]",
        "store y[t] = a + x[t - 64]",
    )
    inner = found[found.index(next(x for x in found if "freeze" in x)) :]
    assert sum("i64 1" in x for x in inner) == 1
    assert sum("i64 -64" in x for x in inner) == 1
    assert sum("freeze" in x for x in found) == 2  # one for each buffer


def test_what_the_loop_does_not_change_is_before_it() -> None:
    found = _loop("store y[(i * 64) + j] = x[(i * 64) + j]")
    frozen = [k for k, line in enumerate(found) if "freeze" in line]
    assert found[frozen[-1] + 1].startswith("br ")
    assert len(frozen) == 2
