"""Pulling: the element of a node at an index, as scalar code in a loop nest.

A `Puller` writes into a Builder. Inputs of the kernel become loads, pointwise nodes their scalar
term, movement an index. Each (node, index) is computed once, in the outermost open loop that knows
the index: a row's mean, pulled from the loop over columns, lands before that loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, reduce
from typing import TypeAlias

from weftc.fusion.kernel import Kernel
from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, Size
from weftc.loop.build import Builder, Loop, Reduction, load
from weftc.loop.ir import Buffer, Const, Expr, Scalar, Var, apply, const
from weftc.loop.walk import operands
from weftc.schedule.indices import Indices
from weftrt.errors import VerifyError

Index: TypeAlias = "tuple[Expr, ...]"
_Key: TypeAlias = "tuple[Node, Index, Expr | None]"


class Puller:
    """Element values of a kernel's nodes, written into `builder`.

    Loops are opened through `loop` and `reduce`, so that the puller knows the depth of their
    variables. `reads` collects every index a buffer is read at, `pinned` what else depends on an
    index; schedules look at both to choose loops.
    """

    def __init__(self, kernel: Kernel, builder: Builder) -> None:
        self.builder = builder
        self.indices = Indices(builder)
        self.buffers: dict[Node, Buffer] = {}
        self.reads: list[Expr] = []
        self.pinned: list[Expr] = []
        self.sites = tuple(n for n in kernel.nodes if n.op.fails is not None)
        self._values: dict[_Key, Expr] = {}
        self._recalled: dict[tuple[Node, Index], Expr] = {}
        self._depths: dict[Expr, int] = {}
        for position, node in enumerate(kernel.inputs):
            self.buffers[node] = builder.buffer(f"in{position}", node.type.dtype)
        self.outputs: dict[Node, Buffer] = {}
        for position, node in enumerate(kernel.outputs):
            # Weft's own arrays and temporaries start at a cache line.
            self.outputs[node] = builder.buffer(f"out{position}", node.type.dtype, aligned=64)

    # -- loops and stores ---------------------------------------------------------------------

    @contextmanager
    def loop(self, opened: AbstractContextManager[Loop]) -> Iterator[Var]:
        """Open a `builder.for_`; gives its variable."""
        with opened as loop:
            self._depths[loop.var] = self.builder.depth
            yield loop.var

    @contextmanager
    def carrying(self, opened: AbstractContextManager[Loop]) -> Iterator[Loop]:
        """Open a `builder.for_` that carries values, which are not to be pulled from."""
        with opened as loop:
            self._depths[loop.var] = self.builder.depth
            yield loop

    @contextmanager
    def reduce(self, extent: Expr) -> Iterator[Reduction]:
        """Open a `builder.reduce`."""
        with self.builder.reduce("j", extent) as reduction:
            self._depths[reduction.var] = self.builder.depth
            yield reduction

    def store(self, node: Node, index: Index, value: Expr, nontemporal: bool = False) -> None:
        """Write an output's element."""
        at = self.indices.linearize(index, node.type.shape)
        self.builder.store(self.outputs[node], at, value, nontemporal=nontemporal)

    def provide(self, node: Node, index: Index, value: Expr) -> None:
        """`value`, just computed or loaded, is the element of `node` at `index`."""
        index = tuple(self.indices.intern(i) for i in index)
        self._depths.setdefault(value, self.builder.depth)
        self._values[node, index, None] = value

    def recall(self, node: Node, index: Index, value: Expr) -> None:
        """Let `value` stand for `node` at `index`, should it be pulled there."""
        self._recalled[node, tuple(self.indices.intern(i) for i in index)] = value

    # -- values -------------------------------------------------------------------------------

    @property
    def _mask(self) -> Expr | None:
        return self.indices.guard

    def pull(self, node: Node, index: Index) -> Expr:
        """The element of `node` at `index`, as a name or a literal."""
        index = tuple(self.indices.intern(i) for i in index)
        found = self._find(node, index)
        if found is not None:
            return found
        stack = [node]
        while stack:
            top = stack[-1]
            if self._find(top, index) is not None:
                stack.pop()
                continue
            if top.op.family is Family.POINTWISE and not self._is_read(top, index):
                missing = [i for i in top.inputs if self._find(i, index) is None]
                if missing:
                    stack.extend(reversed(missing))
                    continue
            stack.pop()
            self._values[top, index, self._mask] = self._compute(top, index)
        return self._values[node, index, self._mask]

    def _find(self, node: Node, index: Index) -> Expr | None:
        """A value computed before, under no mask or this one."""
        found = self._values.get((node, index, self._mask))
        if found is None and self._mask is not None:
            found = self._values.get((node, index, None))
        return found

    def _is_read(self, node: Node, index: Index) -> bool:
        return node in self.buffers or (node, index) in self._recalled

    def _compute(self, node: Node, index: Index) -> Expr:
        if (node, index) in self._recalled:
            return self.name("kept", self._recalled[node, index])
        if node in self.buffers:
            return self._read(node, index)
        if node.op.family is Family.POINTWISE:
            assert node.op.lower is not None
            operands = tuple(self._find(i, index) for i in node.inputs)
            values = tuple(v for v in operands if v is not None)
            dtype = node.type.dtype
            return self.name(node.op.name, node.op.lower(values, dtype, node.attrs))
        if node.op.family is Family.MOVEMENT:
            return self.name(node.op.name, self._moved(node, index))
        if node.op.pull is None:
            raise VerifyError(f"{node.op.name} is read at an index its kernel does not compute")
        value = node.op.pull(node, index, _View(self, node))
        if node.op.family is Family.SOURCE:
            self.pinned.append(value)
        return self.name(node.op.name, value)

    def _read(self, node: Node, index: Index) -> Expr:
        at = self.indices.linearize(index, node.type.shape)
        self.reads.append(at)
        return self.name("x", load(self.buffers[node], at, self._mask))

    def _moved(self, node: Node, index: Index) -> Expr:
        """The element of the first operand whose guards hold at `index`, or else of the last."""
        found: list[tuple[Expr | None, Expr]] = []
        for operand, map_ in zip(node.inputs, node.maps, strict=True):
            at, condition = self.indices.at(map_, index), self._condition(map_, index)
            if condition is None:
                found.append((None, self.pull(operand, at)))
                break
            with nullcontext(condition) if map_.is_inside else self._masked(condition) as holds:
                found.append((holds, self.pull(operand, at)))
        (_, value), *others = reversed(found)
        for condition, chosen in others:
            assert condition is not None
            value = apply(Scalar.SELECT, condition, chosen, value)
        return value

    def _condition(self, map_: IndexMap, index: Index) -> Expr | None:
        """Whether all guards of a map hold at `index`; None where it has none."""
        tests: list[Expr] = []
        size = self.indices.size
        for guard, from_start, before_end in map_.tests:
            start = -1 * guard.linear.offset
            form = self.indices.form(guard.linear.shifted(start), map_.shape, index)
            if guard.extent == 1:
                tests.append(apply(Scalar.EQ, form, size(start)))
                continue
            if not from_start:
                tests.append(apply(Scalar.GE, form, size(start)))
            if not before_end:
                tests.append(apply(Scalar.LT, form, size(start + guard.extent)))
        return reduce(partial(apply, Scalar.AND), tests) if tests else None

    def reshaped(self, index: Index, shape: Shape, operand: Shape) -> Index:
        """The operand's index for a reshape's."""
        return self.indices.at(IndexMap.reshape(shape, operand), index)

    # -- placing ------------------------------------------------------------------------------

    def name(self, hint: str, value: Expr) -> Expr:
        """Name `value` in the outermost loop that knows what it depends on."""
        if isinstance(value, (Const, Var)):
            return value
        depth = self.depth(value)
        with self.builder.outside(depth):
            named = self.builder.let(hint, value)
        self._depths[named] = depth
        return named

    def depth(self, value: Expr) -> int:
        """The number of the open block that first knows `value`."""
        pending, deepest, seen = [value], 0, set[Expr]()
        while pending:
            expr = pending.pop()
            known = self._depths.get(expr)
            if known is not None:
                deepest = max(deepest, known)
            elif expr not in seen:
                seen.add(expr)
                pending += operands(expr)
        return deepest

    def guarded(self, condition: Expr, then: Callable[[], Expr], otherwise: Expr) -> Expr:
        """`then()` under the condition; loads inside are masked, so nothing is read elsewhere."""
        with self._masked(condition) as holds:
            value = then()
        return apply(Scalar.SELECT, holds, value, otherwise)

    @contextmanager
    def _masked(self, condition: Expr) -> Iterator[Expr]:
        """Loads inside `with` happen only where the condition holds; gives its name."""
        self.pinned.append(condition)
        outer, holds = self._mask, self.name("inside", condition)
        mask = holds if outer is None else apply(Scalar.AND, outer, holds)
        self.indices.guard = self.name("inside", self.indices.intern(mask))
        try:
            yield holds
        finally:
            self.indices.guard = outer

    def report(self, node: Node, condition: Expr, element: Expr) -> None:
        """Fail at run time with the node's location where the condition holds."""
        self.pinned.append(condition)
        self.reads.append(element)
        if self._mask is not None:
            condition = apply(Scalar.AND, self._mask, condition)
        site = const(self.sites.index(node))
        depth = max(self.depth(condition), self.depth(element))
        with self.builder.outside(depth):
            self.builder.call("report", condition, site, element)


class _View:
    """A puller as one node's `pull` rule sees it (weftc.ir.opdef.Puller)."""

    def __init__(self, puller: Puller, node: Node) -> None:
        self._puller = puller
        self._node = node

    def read(self, operand: int, index: Index) -> Expr:
        return self._puller.pull(self._node.inputs[operand], index)

    def size(self, size: Size) -> Expr:
        return self._puller.indices.size(size)

    def guarded(self, condition: Expr, then: Callable[[], Expr], otherwise: Expr) -> Expr:
        return self._puller.guarded(condition, then, otherwise)

    def report(self, node: Node, condition: Expr, element: Expr) -> None:
        self._puller.report(node, condition, element)
