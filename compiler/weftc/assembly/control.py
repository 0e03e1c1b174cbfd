"""Regions as instructions: branches and loops over the steps of their bodies.

The state of a loop is a pointer to what a turn reads, one to what it writes, and one to what it
will write next; a turn ends with their exchange. The buffers behind the last two are that of the
result and a spare one, and what is read first is the initial value itself:

    read, written, spare = initial, scratch, result
    each turn: write `written` from `read`; read, written, spare = written, spare, written
    copy what is read last to the result, unless it is there

The rows that a turn of a scan reads and writes are pointers into stacks, set before it runs.

The result comes second, since the initial value may lie in its memory. What may be written over
what is read of it needs no spare: after the first turn, `read` is the result too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weftc.assembly.instructions import Frame, Instructions
from weftc.fusion.regions import CONDITION, COUNTER, LENGTH, row, row_type, spare, stacked
from weftc.ir.node import result_types
from weftc.ir.types import TensorType
from weftrt import dtypes
from weftrt.program import Branch, Copy, Count, Jump, Next, Point, PutSize, Rotate, Row


def branch(run: Instructions, frame: Frame) -> None:
    """Jump to the steps of the branch that the first operand chooses; all write to one place."""
    chosen, *operands = frame.operands
    assert chosen is not None
    start = run.reserve()
    targets, ends = [], []
    for number in range(len(frame.bodies)):
        targets.append(run.here)
        run.body(frame, number, operands, frame.results)
        ends.append(run.reserve())
    index = frame.region.node.inputs[0]
    run.code[start] = Branch(chosen, index.type.dtype, tuple(targets))
    for end in ends:
        run.code[end] = Jump(run.here)


def while_loop(run: Instructions, frame: Frame) -> None:
    """The condition on the initial state, then turns, each of which ends with the condition."""
    go = frame.scratch[CONDITION]
    state = _states(run, frame, frame.operands)
    rest = frame.operands[len(state) :]
    run.body(frame, 0, (*_read(state), *rest), (go,))
    first = run.reserve()
    turn = run.here
    run.body(frame, 1, (*_read(state), *rest), (*_written(state), go))
    _rotate(run, state)
    end = run.here + 1
    run.code[first] = again = Branch(go, dtypes.bool_, (end, turn))
    run.code.append(again)
    _finish(run, state)


def fori(run: Instructions, frame: Frame) -> None:
    """Turns that count from the first operand to below the second."""
    lower, upper, *operands = frame.operands
    assert lower is not None and upper is not None
    counter = frame.scratch[COUNTER]
    run.code.append(Copy(lower, counter, 1, dtypes.int64.itemsize))
    state = _states(run, frame, operands)
    first = run.reserve()
    turn = run.here
    run.body(frame, 0, (counter, *_read(state), *operands[len(state) :]), _written(state))
    _rotate(run, state)
    run.code.append(Next(counter, upper, turn))
    run.code[first] = Count(counter, upper, run.here)
    _finish(run, state)


def scan(run: Instructions, frame: Frame) -> None:
    """Turns over the rows of stacks, which are read and written where they are."""
    node = frame.region.node
    counter, length = frame.scratch[COUNTER], frame.scratch[LENGTH]
    run.code += [PutSize(counter, 0), PutSize(length, run.sizes.value(node["length"]))]
    state = _states(run, frame, frame.operands)
    first = run.reserve()
    turn = run.here
    end = len(state) + node["scanned"]
    stacks = zip(frame.operands[len(state) : end], node.inputs[len(state) : end])
    read = [_row(run, frame, buffer, stack.type) for buffer, stack in stacks]
    places = [_row(run, frame, frame.results[k], type_) for k, type_ in stacked(node)]
    rows = [frame.scratch.get(row(k), at) for (k, _), at in zip(stacked(node), places)]
    operands = (*_read(state), *read, *frame.operands[end:])
    run.body(frame, 0, operands, (*_written(state), *rows))
    for source, target, (_, type_) in zip(rows, places, stacked(node)):
        if source != target:
            _copy(run, source, target, row_type(type_))
    _rotate(run, state)
    run.code.append(Next(counter, length, turn))
    run.code[first] = Count(counter, length, run.here)
    _finish(run, state)


def _row(run: Instructions, frame: Frame, stack: int | None, type_: TensorType) -> int:
    """A pointer to the row of this turn."""
    assert stack is not None
    node, pointer = frame.region.node, run.temporary()
    elements, length = run.sizes.value(row_type(type_).size), run.sizes.value(node["length"])
    place = (frame.scratch[COUNTER], length, node["reverse"])
    run.code.append(Row(pointer, stack, elements, type_.dtype.itemsize, *place))
    return pointer


def _copy(run: Instructions, source: int, target: int, type_: TensorType) -> None:
    run.code.append(Copy(source, target, run.sizes.value(type_.size), type_.dtype.itemsize))


# -- the state of loops ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _State:
    """The pointers of one array of the state, and where its last value belongs. Without a spare
    one, all is written there."""

    type: TensorType
    read: int
    written: int
    spare: int | None
    result: int


def _states(run: Instructions, frame: Frame, operands: Sequence[int | None]) -> list[_State | None]:
    """The state of a loop, pointing to where it starts; None for a token."""
    node = frame.region.node
    rows = zip(result_types(node)[: node["carried"]], operands, frame.results)
    return [
        _state(run, type_, first, result, frame.scratch.get(spare(number)))
        if isinstance(type_, TensorType) and first is not None and result is not None
        else None
        for number, (type_, first, result) in enumerate(rows)
    ]


def _state(
    run: Instructions, type_: TensorType, first: int, result: int, other: int | None
) -> _State:
    read = run.temporary()
    run.code.append(Point(read, first))
    if other is None:
        return _State(type_, read, result, None, result)
    written, spare = run.temporary(), run.temporary()
    run.code += [Point(written, other), Point(spare, result)]
    return _State(type_, read, written, spare, result)


def _read(state: Iterable[_State | None]) -> list[int | None]:
    return [None if s is None else s.read for s in state]


def _written(state: Iterable[_State | None]) -> list[int | None]:
    return [None if s is None else s.written for s in state]


def _rotate(run: Instructions, state: Iterable[_State | None]) -> None:
    """What a turn has written is read in the next one."""
    run.code += [
        Point(s.read, s.result) if s.spare is None else Rotate(s.read, s.written, s.spare)
        for s in state
        if s is not None
    ]


def _finish(run: Instructions, state: Iterable[_State | None]) -> None:
    """Let the results hold what the last turn wrote."""
    for s in state:
        if s is not None:
            _copy(run, s.read, s.result, s.type)
