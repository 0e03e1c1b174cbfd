"""Kernels that do not compute the graph, and memory that is taken twice."""

from __future__ import annotations

from tests.compiler.schedule.networks import matmul, op
from tests.faults import control, programs
from tests.faults.fault import Fault
from tests.faults.programs import N

_GROUP = "weftc.fusion.group"
_GROUPS = "weftc.fusion.groups"
_CLUSTERS = "weftc.fusion.clusters"
_MEMORY = "weftc.fusion.memory"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "fusion": (
        Fault(
            "a region runs before the kernels that it reads",
            f"{_CLUSTERS}:_drafts",
            "frozenset(node.inputs)",
            "frozenset()",
            control.after_a_loop,
        ),
        Fault(
            "kernels in reverse order",
            f"{_CLUSTERS}:fuse",
            "else _sorted(drafts, place)",
            "else _sorted(drafts, place)[::-1]",
            programs.chain,
        ),
        Fault(
            "another value behind a barrier",
            "weftc.fusion.barriers:without_barriers",
            'node["index"]]',
            'node["index"] - 1]',
            control.behind_a_barrier,
        ),
        Fault(
            "a kernel is lost",
            f"{_CLUSTERS}:_drafts",
            "if outputs:",
            "if outputs and group.number:",
            programs.chain,
        ),
        Fault(
            "a node that is needed is left out of its kernel",
            f"{_CLUSTERS}:_cone",
            "nodes.add(operand)",
            "pass",
            programs.exp_sum,
        ),
        Fault(
            "a reduction over other rows joins",
            f"{_GROUPS}:Groups._own_rows",
            "group.frame == frame",
            "True",
            programs.two_frames,
        ),
        Fault(
            "a reduction over a middle axis is taken for one over rows",
            "weftc.fusion.frames:Frame.of",
            "shape[last:]",
            "()",
            lambda x: op("sum", x(9, 4, 5), axes=(1,)),
        ),
        Fault(
            "a reduction joins the pass that it waits for",
            f"{_GROUPS}:Groups._sharing",
            "waits & group.bit or ",
            "",
            programs.scaled_sums,
        ),
        Fault(
            "reductions over other axes share a pass",
            f"{_GROUP}:Group.is_alike",
            'same and found[0]["axes"] == node["axes"]',
            "same",
            programs.sums_of_one,
        ),
        Fault(
            "what has another shape joins the rows",
            f"{_GROUP}:Group.visits",
            "in (frame.rows, frame.full)",
            "is not None",
            programs.row_value_elsewhere,
        ),
        Fault(
            "a reshape seen through a broadcast joins a reduction",
            f"{_GROUP}:Group.visits",
            "return view.how.is_flat",
            "return True",
            programs.broadcast_sum,
        ),
    ),
    "memory": (
        Fault(
            "a value that a loop reads in every turn dies before",
            f"{_MEMORY}:_lifetimes",
            "for node in step.inputs:",
            "for node in () if hasattr(step, 'bodies') else step.inputs:",
            control.after_a_loop,
        ),
        Fault(
            "a live buffer is overwritten",
            f"{_MEMORY}:_place_fixed",
            "lasts >= life.first",
            "lasts > life.first",
            programs.long_chain,
        ),
        Fault(
            "a value dies before it is read",
            f"{_MEMORY}:_lifetimes",
            "last.get(node, index)",
            "index",
            programs.long_chain,
        ),
        Fault(
            "symbolic values all in one place",
            f"{_MEMORY}:_place_symbolic",
            "start + _room(room[0].size)",
            "start",
            lambda x: op("exp", matmul(matmul(x(N, 5), x(5, 6)), x(6, 7))),
        ),
        Fault(
            "symbolic values that live at once share a place",
            f"{_MEMORY}:_fits",
            "return free and",
            "return",
            programs.symbolic_chain,
        ),
        Fault(
            "a symbolic value in too small a place",
            f"{_MEMORY}:_fits",
            "never_negative(room[0].size - life.size)",
            "True",
            programs.symbolic_chain,
        ),
    ),
}
