"""What each region becomes: a call of a routine or of Python, a check, or control flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from weftc.assembly.control import branch, fori, scan, while_loop
from weftc.assembly.instructions import Frame, Instructions
from weftc.ir.node import result_types
from weftc.ir.types import TensorType, ValueType
from weftrt.program import ArraySpec, Callback, Check, Extern


def emit(run: Instructions, frame: Frame) -> None:
    """Append what a region becomes."""
    node = frame.region.node
    if node.op.extern is not None:
        _call_routine(run, frame)
    else:
        _EMIT[node.op.name](run, frame)


def _call_routine(run: Instructions, frame: Frame) -> None:
    node = frame.region.node
    assert node.op.extern is not None
    call = node.op.extern(node)
    buffers = [number for number in (*frame.operands, *frame.results) if number is not None]
    slots = map(run.sizes.slot, call.sizes)
    site = run.site(node, frame.buffers)
    run.code.append(Extern(call.function, tuple(buffers), tuple(slots), site))


def _call_back(run: Instructions, frame: Frame) -> None:
    node = frame.region.node
    operands = zip(frame.operands, (operand.value_type for operand in node.inputs))
    results = zip(frame.results, result_types(node))
    function, where = run.functions.index(node["function"]), str(node.location or "?")
    run.code.append(Callback(function, _placed(run, operands), _placed(run, results), where))


def _placed(
    run: Instructions, values: Iterable[tuple[int | None, ValueType]]
) -> tuple[tuple[int, ArraySpec], ...]:
    """The arrays among values, with their buffers."""
    return tuple(
        (number, run.sizes.spec(type_))
        for number, type_ in values
        if number is not None and isinstance(type_, TensorType)
    )


def _check(run: Instructions, frame: Frame) -> None:
    _, condition = frame.operands
    assert condition is not None
    run.code.append(Check(condition, run.site(frame.region.node, frame.buffers)))


_EMIT: Final[dict[str, Callable[[Instructions, Frame], None]]] = {
    "branch": branch,
    "while": while_loop,
    "fori": fori,
    "scan": scan,
    "callback": _call_back,
    "check": _check,
}
