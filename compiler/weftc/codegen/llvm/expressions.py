"""Expressions of the widened loop IR as LLVM values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeGuard

from weftc.codegen.llvm import text
from weftc.codegen.llvm.addresses import Linear, Terms, linear, of_operand, offset
from weftc.codegen.llvm.function import FunctionWriter
from weftc.codegen.llvm.masked_loads import masked_load
from weftc.codegen.llvm.scalar import RULES, scale_exponent
from weftc.loop.ir import (
    INDEX,
    Buffer,
    Const,
    Expr,
    Load,
    LoopType,
    Op,
    Ramp,
    Scalar,
    Splat,
    Tree,
    Var,
    apply,
)
from weftc.loop.walk import operands
from weftrt import dtypes
from weftrt.errors import CompileError


def children(expr: Expr, out: FunctionWriter) -> tuple[Expr, ...]:
    """What must be computed before `expr`. An address says itself what it needs of an index, and a
    scaling by an integral float needs no integer."""
    if isinstance(expr, Op) and expr.op is Scalar.LDEXP:
        float_exponent = scale_exponent(expr, out)
        return expr.args if float_exponent is None else (expr.args[0], float_exponent)
    if isinstance(expr, Load):
        return () if expr.mask is None else (expr.mask,)
    return operands(expr)


def first_index(index: Expr) -> Expr:
    """The scalar start of a contiguous index, or the index itself."""
    return index.base if isinstance(index, Ramp) and index.step == 1 else index


def _descends(index: Expr) -> TypeGuard[Ramp]:
    """Whether an index is contiguous, but runs backwards."""
    return isinstance(index, Ramp) and index.step == -1


class ExpressionWriter:
    """Writes expressions into `out`. A shared node is written once per statement: between
    statements memory may change, and only Let says that a value is kept."""

    def __init__(self, out: FunctionWriter) -> None:
        self.out = out
        self._memo: dict[Expr, str] = {}

    def begin_statement(self) -> None:
        self._memo.clear()

    def operand(self, root: Expr) -> str:
        """The LLVM operand of `root`, writing what it needs; iterative, as chains may be long."""
        memo = self._memo
        stack = [root]
        while stack:
            expr = stack[-1]
            if expr not in memo:
                pending = [child for child in children(expr, self.out) if child not in memo]
                if pending:
                    stack += reversed(pending)
                    continue
                memo[expr] = _WRITERS[type(expr)](self, expr)
            stack.pop()
        return memo[root]

    def typed(self, expr: Expr) -> str:
        """`type operand`."""
        return f"{text.of(expr.type)} {self.operand(expr)}"

    # -- one method per class --------------------------------------------------------------------

    def _const(self, expr: Const) -> str:
        return text.constant(expr)

    def _var(self, expr: Var) -> str:
        return self.out.lookup(expr.name).operand

    def _op(self, expr: Op) -> str:
        dtype = expr.args[0].type.dtype
        rule = RULES[dtype.kind].get(expr.op)
        if rule is None:
            raise CompileError(f"the scalar operation {expr.op!r} is not defined on {dtype}")
        memo = self._memo
        return rule(self.out, expr, [memo[arg] for arg in children(expr, self.out)])

    def _ramp(self, expr: Ramp) -> str:
        scalar, lanes = text.REGISTER[expr.type.dtype], expr.type.lanes
        base = self.broadcast(self._memo[expr.base], scalar, lanes)
        steps = text.ramp(scalar, lanes, expr.step)
        return self.out.value(f"add {text.of(expr.type)} {base}, {steps}")

    def _splat(self, expr: Splat) -> str:
        if isinstance(expr.value, Const):
            return text.splat(expr.value.value, expr.type.dtype, expr.type.lanes)
        scalar = text.REGISTER[expr.type.dtype]
        return self.broadcast(self._memo[expr.value], scalar, expr.type.lanes)

    def broadcast(self, operand: str, scalar: str, lanes: int) -> str:
        """`operand` in every lane."""
        if lanes == 1:
            return operand
        type_ = text.lanes_of(scalar, lanes)
        one = self.out.value(f"insertelement {type_} poison, {scalar} {operand}, i64 0")
        return self.out.value(
            f"shufflevector {type_} {one}, {type_} poison, <{lanes} x i32> zeroinitializer"
        )

    def _tree(self, expr: Tree) -> str:
        """Halve until one lane is left: lane i with lane i + lanes/2."""
        dtype, lanes, out = expr.type.dtype, expr.value.type.lanes, self.out
        scalar, value = text.REGISTER[dtype], self._memo[expr.value]
        while lanes > 1:
            type_ = text.lanes_of(scalar, lanes)
            half = lanes // 2
            if half == 1:
                low = out.value(f"extractelement {type_} {value}, i64 0")
                high = out.value(f"extractelement {type_} {value}, i64 1")
            else:
                low, high = (
                    out.value(
                        f"shufflevector {type_} {value}, {type_} poison, "
                        f"{text.shuffle_mask(start, half)}"
                    )
                    for start in (0, half)
                )
            value = self.combine(expr.op, low, high, LoopType(dtype, half))
            lanes = half
        return value

    def combine(self, op: Scalar, left: str, right: str, type_: LoopType) -> str:
        """A binary operation on operands already written."""
        placeholder = Var("", type_)
        rule = RULES[type_.dtype.kind][op]
        return rule(self.out, apply(op, placeholder, placeholder), [left, right])

    # -- memory ----------------------------------------------------------------------------------

    def address(self, buffer: Buffer, index: Expr) -> str:
        """A pointer, or a vector of pointers, to buffer[index]."""
        base = self.out.lookup(buffer.name).operand
        first = first_index(index)
        if isinstance(first, Const) and first.value == 0 and first.type.lanes == 1:
            return base
        element = text.MEMORY[buffer.dtype]
        if first.type != INDEX:
            return self.out.value(f"getelementptr {element}, ptr {base}, {self.typed(first)}")
        return self._offset(base, element, first)

    def _offset(self, base: str, element: str, index: Expr) -> str:
        """`base` and `index` elements, by way of an address a constant apart if one is at hand."""
        out, form = self.out, self.linear(index)
        terms, loop = form.terms, out.loop
        if loop is not None:
            inner = frozenset(term for term in terms if loop.varies(term[0]))
            if inner and inner != terms:
                return self._inside(base, element, inner, Linear(terms - inner, form.constant))
        anchor = out.anchors.get((base, terms))
        if anchor is None:
            pointer = out.value(f"getelementptr {element}, ptr {base}, {self.typed(index)}")
            out.anchors[base, terms] = pointer, form.constant
            return pointer
        return self._moved(anchor[0], element, offset(form, anchor[1]))

    def _moved(self, pointer: str, element: str, distance: int) -> str:
        if not distance:
            return pointer
        return self.out.value(f"getelementptr {element}, ptr {pointer}, i64 {distance}")

    def _inside(self, base: str, element: str, inner: Terms, outer: Linear) -> str:
        """An address of which a loop changes only a part: the other is computed before it, and
        frozen, so that LLVM does not look at the whole for every loop around this one."""
        out = self.out
        assert out.loop is not None
        start = out.loop.starts.get((base, outer.terms))
        if start is None:
            write = partial(out.insert, out.loop.line)
            start = write(f"getelementptr {element}, ptr {base}, i64 {_sum(outer.terms, write)}")
            start = out.loop.starts[base, outer.terms] = write(f"freeze ptr {start}")
        anchor = out.anchors.get((start, inner))
        if anchor is None:
            pointer = f"getelementptr {element}, ptr {start}, i64 {_sum(inner, out.value)}"
            anchor = out.anchors[start, inner] = out.value(pointer), 0
        return self._moved(anchor[0], element, offset(outer, 0))

    def linear(self, expr: Expr) -> Linear:
        """An int64 expression in terms of operands."""
        return linear(expr, self._leaf)

    def _leaf(self, expr: Expr) -> Linear:
        operand = self.operand(expr)
        known = self.out.lookup(expr.name).linear if isinstance(expr, Var) else None
        return known or of_operand(operand)

    def _load(self, expr: Load) -> str:
        dtype, lanes = expr.type.dtype, expr.type.lanes
        value = self._loaded(expr)
        if dtype is dtypes.bool_:
            zero = "0" if lanes == 1 else "zeroinitializer"
            memory = text.lanes_of(text.MEMORY[dtype], lanes)
            return self.out.value(f"icmp ne {memory} {value}, {zero}")
        return value

    def _loaded(self, expr: Load) -> str:
        """What is in memory; bools are bytes there."""
        if _descends(expr.index):
            return self._reversed_load(expr, self._lowest(expr))
        first = self._first_of_every_other(expr)
        if first is not None:
            return self._every_other(expr, self.address(expr.buffer, first))
        pointer = self.address(expr.buffer, expr.index)
        if first_index(expr.index).type.lanes > 1:
            return self._gather(expr, pointer)
        if expr.mask is not None:
            return self._masked_load(expr, pointer, self.mask(expr.mask, expr.type.lanes))
        memory = text.lanes_of(text.MEMORY[expr.type.dtype], expr.type.lanes)
        return self.out.value(f"load {memory}, ptr {pointer}, align {expr.type.dtype.itemsize}")

    def _first_of_every_other(self, load: Load) -> Expr | None:
        """Where a load begins that is of every other element, in all of its lanes; else None."""
        index = load.index
        if isinstance(index, Var) and index.type.lanes > 1:
            index = self.out.definition(index) or index
        skips = isinstance(index, Ramp) and index.step == 2
        return index.base if isinstance(index, Ramp) and skips else None

    def _lowest(self, expr: Load) -> str:
        """A pointer to the last lane's element, where the index runs backwards."""
        assert _descends(expr.index)
        first = self.address(expr.buffer, expr.index.base)
        element = text.MEMORY[expr.type.dtype]
        return self.out.value(f"getelementptr {element}, ptr {first}, i64 {1 - expr.type.lanes}")

    def _reversed_load(self, expr: Load, pointer: str) -> str:
        """A contiguous load of the lanes in reverse, turned round; its mask is turned round too."""
        lanes = expr.type.lanes
        memory = f"<{lanes} x {text.MEMORY[expr.type.dtype]}>"
        if expr.mask is None:
            align = expr.type.dtype.itemsize
            value = self.out.value(f"load {memory}, ptr {pointer}, align {align}")
        else:
            mask = self._turned(f"<{lanes} x i1>", self.mask(expr.mask, lanes), lanes)
            value = self._masked_load(expr, pointer, mask)
        return self._turned(memory, value, lanes)

    def _every_other(self, expr: Load, pointer: str) -> str:
        """Every other element, by two contiguous loads up to the last of them, and a shuffle."""
        dtype, lanes = expr.type.dtype, expr.type.lanes
        memory = f"<{lanes} x {text.MEMORY[dtype]}>"
        second = self._moved(pointer, text.MEMORY[dtype], lanes - 1)
        if expr.mask is None:
            low, high = (
                self.out.value(f"load {memory}, ptr {place}, align {dtype.itemsize}")
                for place in (pointer, second)
            )
        else:
            masks = self._masks_of_every_other(self.mask(expr.mask, lanes), lanes)
            low, high = (
                masked_load(self.out, dtype, lanes, place, mask)
                for place, mask in zip((pointer, second), masks, strict=True)
            )
        places = (*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2))
        order = text.order_of(places)
        return self.out.value(f"shufflevector {memory} {low}, {memory} {high}, {order}")

    def _masks_of_every_other(self, mask: str, lanes: int) -> tuple[str, str]:
        """Those of the two loads: off for what lies between the elements, too."""
        type_ = f"<{lanes} x i1>"

        def spread(first: int) -> str:
            """From element `first` on."""
            places = range(first, first + lanes)
            order = text.order_of(n // 2 if n % 2 == 0 else lanes for n in places)
            return self.out.value(f"shufflevector {type_} {mask}, {type_} zeroinitializer, {order}")

        return spread(0), spread(lanes - 1)

    def _turned(self, type_: str, value: str, lanes: int) -> str:
        mask = text.reversal(lanes)
        return self.out.value(f"shufflevector {type_} {value}, {type_} poison, {mask}")

    def _masked_load(self, expr: Load, pointer: str, mask: str) -> str:
        dtype, lanes = expr.type.dtype, expr.type.lanes
        value = masked_load(self.out, dtype, lanes, pointer, mask)
        if lanes == 1:
            return self.out.value(f"extractelement <1 x {text.MEMORY[dtype]}> {value}, i64 0")
        return value

    def mask(self, mask: Expr | None, lanes: int) -> str:
        """A mask as a vector, of one lane too (which the masked intrinsics want)."""
        if mask is None:
            return "splat (i1 true)"
        operand = self.operand(mask)
        if lanes == 1:
            return self.out.value(f"insertelement <1 x i1> poison, i1 {operand}, i64 0")
        if mask.type.lanes == 1:
            return self.broadcast(operand, "i1", lanes)
        return operand

    def _gather(self, expr: Load, pointers: str) -> str:
        dtype, lanes = expr.type.dtype, expr.type.lanes
        scalar = text.MEMORY[dtype]
        memory = f"<{lanes} x {scalar}>"
        operands = [
            (f"<{lanes} x ptr>", pointers),
            ("i32", str(dtype.itemsize)),
            (f"<{lanes} x i1>", self.mask(expr.mask, lanes)),
            (memory, "zeroinitializer"),
        ]
        name = f"llvm.masked.gather.v{lanes}{text.mangled(scalar, 1)}.v{lanes}p0"
        return self.out.call(name, memory, operands)


def _sum(terms: Terms, write: Callable[[str], str]) -> str:
    """The value of terms of an index, written by `write`."""
    total = ""
    for operand, factor in sorted(terms):
        part = operand if factor == 1 else write(f"mul i64 {operand}, {factor}")
        total = write(f"add i64 {total}, {part}") if total else part
    return total


_WRITERS: dict[type, Callable[[ExpressionWriter, Any], str]] = {
    Const: ExpressionWriter._const,
    Var: ExpressionWriter._var,
    Op: ExpressionWriter._op,
    Load: ExpressionWriter._load,
    Ramp: ExpressionWriter._ramp,
    Splat: ExpressionWriter._splat,
    Tree: ExpressionWriter._tree,
}
