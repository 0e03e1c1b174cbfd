"""The exact floating-point remainder as a loop over all lanes.

    r = |x|
    for b in (|y| * 2^2k, |y| * 2^k, |y|)        # so that r / b does not overflow
      while any |r| >= b: r = fma(-roundeven(r / b), b, r) in those lanes
    r + |y| where r < 0, else r, with the sign of x

Every step is exact: what is left of a correctly rounded quotient is a float, and so it is after the
quotient is rounded to an integer. A step takes 24 (53) bits off x / y, so that one is nearly always
enough. Infinite and NaN operands and zero divisors become NaN at the first step, or at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from weftc.codegen.llvm import text
from weftc.codegen.llvm.function import FunctionWriter
from weftc.loop.ir import LoopType, Op
from weftrt import dtypes

_SCALE: Final = {dtypes.float32: 120, dtypes.float64: 1000}
"""k of the module's text: twice that takes the largest quotient below overflow."""


def exact_remainder(out: FunctionWriter, op: Op, args: Sequence[str]) -> str:
    """The LLVM rule of Scalar.FMOD."""
    return _Remainder(out, op.type).of(args[0], args[1])


class _Remainder:
    def __init__(self, out: FunctionWriter, type_: LoopType) -> None:
        self._out, self._type = out, type_
        self._text = text.of(type_)
        self._mask = text.lanes_of("i1", type_.lanes)

    def of(self, x: str, y: str) -> str:
        rest, divisor = self._call("llvm.fabs", x), self._call("llvm.fabs", self._hidden(y))
        large = self._scaled(divisor)
        for part in (self._scaled(large), large, divisor):
            rest = self._reduced(rest, part)
        rest = self._select(self._is_final(rest, divisor), rest, self._value("fadd", rest, divisor))
        return self._call("llvm.copysign", rest, x)

    def _is_final(self, rest: str, divisor: str) -> str:
        """rest >= 0, and the divisor no NaN: adding it makes one."""
        zero = text.splat(0.0, self._type.dtype, self._type.lanes)
        whole = self._out.value(f"fcmp oge {self._text} {rest}, {zero}")
        ordered = self._out.value(f"fcmp ord {self._text} {divisor}, {divisor}")
        return self._out.value(f"and {self._mask} {whole}, {ordered}")

    def _reduced(self, rest: str, divisor: str) -> str:
        """`rest` less multiples of `divisor`, until it is smaller in every lane."""
        out = self._out
        test, step, after = (out.label(name) for name in ("fmod", "step", "after"))
        before = out.block
        out.jump(test)
        out.start(test)
        current, line = out.placeholder()
        todo = out.value(f"fcmp oge {self._text} {self._call('llvm.fabs', current)}, {divisor}")
        out.branch(self._any(todo), step, after)
        out.start(step)
        quotient = self._call("llvm.roundeven", self._value("fdiv", current, divisor))
        negated = out.value(f"fneg {self._text} {quotient}")
        following = self._select(todo, self._call("llvm.fma", negated, divisor, current), current)
        out.jump(test)
        out.fill(current, line, f"phi {self._text} [ {rest}, %{before} ], [ {following}, %{step} ]")
        out.start(after)
        return current

    def _any(self, lanes: str) -> str:
        if self._type.lanes == 1:
            return lanes
        name = f"llvm.vector.reduce.or.v{self._type.lanes}i1"
        return self._out.call(name, "i1", [(self._mask, lanes)])

    def _hidden(self, y: str) -> str:
        """LLVM must not know a lane's 0 / 0: it takes that for anything, and the loop needs NaN."""
        return self._call("llvm.arithmetic.fence", y)

    def _scaled(self, divisor: str) -> str:
        dtype, lanes = self._type.dtype, self._type.lanes
        return self._value("fmul", divisor, text.splat(2.0 ** _SCALE[dtype], dtype, lanes))

    def _call(self, intrinsic: str, *args: str) -> str:
        operands = [(self._text, arg) for arg in args]
        return self._out.intrinsic(intrinsic, self._text, operands, self._type)

    def _value(self, opcode: str, a: str, b: str) -> str:
        return self._out.value(f"{opcode} {self._text} {a}, {b}")

    def _select(self, condition: str, then: str, otherwise: str) -> str:
        type_ = self._text
        return self._out.value(
            f"select {self._mask} {condition}, {type_} {then}, {type_} {otherwise}"
        )
