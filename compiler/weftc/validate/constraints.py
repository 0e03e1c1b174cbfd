"""Whether a program runs for just those sizes for which its graph means something."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from weftc.ir.constraints import symbols_of
from weftc.ir.node import Graph
from weftc.ir.sizes import Size, lone_symbol, value_of
from weftc.validate.plans import Complaint
from weftc.validate.sizes import is_allowed
from weftrt import size_expressions
from weftrt.program import Program

_SIZES = (0, 1, 2, 3, 4, 7, 200)


def check_constraints(graph: Graph, program: Program) -> Complaint:
    """For which sizes, of many, a program runs though it must not, or the other way round."""
    read = [graph.inputs[number].type.shape[axis] for number, axis in program.symbols]
    for sizes in _many_sizes(read):
        slots = [value_of(size, sizes) for size in read]
        if min(slots) < 0:
            continue
        cases = [(slots, is_allowed(graph, sizes)), *((s, False) for s in _wrong(read, slots))]
        for case, allowed in cases:
            if _runs(program, case) != allowed:
                text = ", ".join(f"{size} = {value}" for size, value in zip(read, case))
                return f"the program {'does not run' if allowed else 'runs'} for {text}"
    return None


def _many_sizes(read: Sequence[Size]) -> Iterator[dict[str, int]]:
    """Each symbol in turn is something else than all others are."""
    names = sorted(frozenset[str]().union(*map(symbols_of, read)))
    for name, others, one in itertools.product(names, _SIZES, _SIZES):
        yield {**dict.fromkeys(names, others), name: one}


def _wrong(read: Sequence[Size], slots: list[int]) -> Iterator[list[int]]:
    """Sizes of which one does not follow from the others, as it must."""
    for place, size in enumerate(read):
        if lone_symbol(size) is None:
            yield [*slots[:place], slots[place] + 1, *slots[place + 1 :]]


def _runs(program: Program, slots: Sequence[int]) -> bool:
    return all(size_expressions.holds(check, slots) for check in program.constraints)
