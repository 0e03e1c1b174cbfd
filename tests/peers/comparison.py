"""One call of a function by torch and by Weft: values, gradients, tangents and maps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tests.frontend.staged import stage
from tests.peers.unexpressed import Unexpressed
from torch.testing._internal.opinfo.core import OpInfo, SampleInput

import weft as wf

Arrays = list[np.ndarray[Any, Any]]
Function = Callable[..., Any]

TOLERANCE = 1e-9
"""Of the largest element too."""

LITTLE = 1e-5
"""Differences up to this, of the largest element too, are called so."""

NEARBY = 15 / 16
"""A second sample is the first times this: it stays positive, definite, or within -1 and 1."""


@dataclass(frozen=True)
class Call:
    """The arguments of a call, in which `leaves` are the floats that torch differentiates by."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leaves: list[torch.Tensor]

    def put(self, leaves: Sequence[Any], other: Callable[[Any], Any]) -> tuple[Any, Any]:
        """The arguments with `leaves` in place, and of everything else `other`."""
        places = {id(leaf): place for leaf, place in zip(self.leaves, leaves, strict=True)}
        return _put(self.args, places, other), _put(self.kwargs, places, other)


def call_of(sample: SampleInput) -> Call:
    """The call that a sample describes."""
    args, kwargs = (sample.input, *sample.args), sample.kwargs
    unique = {id(leaf): leaf for leaf in _tensors((args, kwargs)) if leaf.requires_grad}
    return Call(args, kwargs, list(unique.values()))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _put(value: Any, places: dict[int, Any], other: Callable[[Any], Any]) -> Any:
    if id(value) in places:
        return places[id(value)]
    if isinstance(value, dict):
        return {key: _put(item, places, other) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)([_put(item, places, other) for item in value])  # torch.Size too
    return other(value)


@dataclass(frozen=True)
class Answer:
    """What a call gives: its float results, their gradients by the leaves along cotangents, and
    their tangents along directions (None where torch has no forward mode)."""

    values: Arrays
    gradients: Arrays
    tangents: Arrays | None

    def sizes(self) -> dict[str, int]:
        """How many arrays there are of each."""
        parts = {"values": self.values, "gradients": self.gradients, "tangents": self.tangents}
        return {name: len(arrays or ()) for name, arrays in parts.items()}


@dataclass(frozen=True)
class Directions:
    """Where the leaves move, and a cotangent for each result."""

    of_leaves: Arrays
    of_results: Arrays


def directions(leaves: Sequence[torch.Tensor], values: Arrays) -> Directions:
    """Some, the same in each run."""
    random = np.random.default_rng(0)
    draw = lambda arrays: [np.asarray(random.uniform(0.5, 1.5, a.shape)) for a in arrays]  # noqa: E731
    return Directions(draw(leaves), draw(values))


def leaves_of(call: Call, scale: float = 1.0) -> list[torch.Tensor]:
    """The leaves of a call, or their neighbours."""
    return [(leaf.detach() * scale).requires_grad_() for leaf in call.leaves]


def by_torch(
    function: Function, call: Call, leaves: list[torch.Tensor], forward: bool
) -> tuple[Answer, Directions]:
    """The answer of torch."""

    def results(*leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        args, kwargs = call.put(leaves, lambda value: value)
        found = map(_real, _tensors(_as_tuple(function(*args, **kwargs))))
        return tuple(t for t in found if t.dtype.is_floating_point)

    found = results(*leaves)
    values = [t.detach().numpy(force=True) for t in found]
    along = directions(leaves, values)
    moving = [(t, torch.tensor(g)) for t, g in zip(found, along.of_results) if t.requires_grad]
    gradients = [torch.zeros_like(leaf) for leaf in leaves]
    if moving:
        outputs, cotangents = zip(*moving)
        pulled = torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True)
        gradients = [z if p is None else p for z, p in zip(gradients, pulled)]
    tangents = _tangents(results, leaves, along.of_leaves) if forward else None
    return Answer(values, [g.numpy(force=True) for g in gradients], tangents), along


def _tangents(function: Function, leaves: Sequence[torch.Tensor], along: Arrays) -> Arrays | None:
    """Those of torch; None where it says that it has none."""
    primals, directions = tuple(t.detach() for t in leaves), tuple(map(torch.tensor, along))
    try:
        pushed = torch.func.jvp(function, primals, directions)[1]
    except (NotImplementedError, RuntimeError):
        return None
    return [t.detach().numpy(force=True) for t in pushed]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _real(tensor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(tensor.resolve_conj()) if tensor.dtype.is_complex else tensor


def by_weft(
    function: Function, call: Call, leaves: Sequence[list[torch.Tensor]], along: Directions
) -> list[Answer]:
    """Weft's answers: for the first leaves alone, and for all `leaves` at once, mapped."""

    def results(*leaves: Any) -> list[Any]:
        args, kwargs = call.put(leaves, _constant)
        found = [x for part in _as_tuple(function(*args, **kwargs)) for x in _as_tuple(part)]
        return [x for x in map(_parts, found) if wf.isdtype(x.dtype, "real floating")]

    def everything(*leaves: Any) -> Any:
        values, pull = wf.vjp(results, *leaves)
        return values, pull(along.of_results), wf.jvp(results, leaves, tuple(along.of_leaves))[1]

    inputs = [[leaf.detach().numpy() for leaf in own] for own in leaves]
    alone = [_answer(_run(everything, inputs[0]))]
    if len(inputs) == 1:
        return alone
    stacked = [np.stack(parts) for parts in zip(*inputs, strict=True)]
    mapped = _run(wf.vmap(everything), stacked)
    return alone + [_answer(_element(mapped, place)) for place in range(len(inputs))]


def _parts(x: Any) -> Any:
    """As `_real`: a complex array with its two parts along a last axis."""
    if not wf.isdtype(x.dtype, "complex floating"):
        return x
    return wf.stack([wf.real(x), wf.imag(x)], axis=-1)


def _run(function: Function, inputs: Arrays) -> Any:
    staged = stage(function, *inputs)
    assert staged is not None
    return staged.run(*inputs)


def _element(value: Any, place: int) -> Any:
    return [_element(v, place) for v in value] if isinstance(value, (list, tuple)) else value[place]


def _answer(found: Any) -> Answer:
    values, gradients, tangents = found
    return Answer(list(values), list(gradients), list(tangents))


def _constant(value: Any) -> Any:
    """What is no leaf: NumPy's arrays for tensors."""
    if isinstance(value, torch.Tensor):
        if value.dtype.is_complex or value.layout != torch.strided:
            raise Unexpressed(f"an operand of {value.dtype}, {value.layout}")
        return value.detach().numpy()
    if isinstance(value, complex):
        raise Unexpressed("a complex number")
    return value


def difference(found: Answer, expected: Answer, along: Directions) -> str | None:
    """What of two answers differs, and how; None if they agree."""
    for part in ("values", "gradients"):
        what = _departure(part, getattr(found, part), getattr(expected, part))
        if what is not None:
            return what
    if expected.tangents is None:
        return None
    what = _departure("tangents", found.tangents, expected.tangents)
    if what is None or _is_transpose(expected, along) or not _is_transpose(found, along):
        return what
    return "tangents: torch's are not those of its gradients"


def _departure(part: str, own: Arrays | None, other: Arrays) -> str | None:
    assert own is not None
    if [x.shape for x in own] != [x.shape for x in other]:
        return f"the shapes of {part}"
    if _near(own, other, TOLERANCE):
        return None
    if _near(own, other, LITTLE):
        return f"{part}, by less than {LITTLE}"
    known = [np.where(np.isnan(a) & (b == 0), 0, a) for a, b in zip(own, other)]
    return f"{part}: NaN where torch has 0" if _near(known, other, TOLERANCE) else part


def _near(own: Arrays, other: Arrays, tolerance: float) -> bool:
    return all(
        np.allclose(a, b, rtol=tolerance, atol=tolerance * _size(b), equal_nan=True)
        for a, b in zip(own, other, strict=True)
    )


def _size(x: Any) -> float:
    """The largest finite element, or 1."""
    finite = np.abs(x[np.isfinite(x)])
    return max(1.0, float(finite.max(initial=0.0)))


def _is_transpose(answer: Answer, along: Directions) -> bool:
    """Whether tangents and gradients say the same of how the results move."""
    assert answer.tangents is not None
    pairs = (answer.tangents, along.of_results), (answer.gradients, along.of_leaves)
    forward, back = (sum(float(np.sum(a * b)) for a, b in zip(*pair)) for pair in pairs)
    return math.isclose(forward, back, rel_tol=1e-6, abs_tol=1e-6)


@dataclass
class Tally:
    """What became of the samples of a function; `compared` are the arrays of torch's answers."""

    checked: int = 0
    mapped: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    unexpressed: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)


def compare(function: Function, info: OpInfo, gauge: Function | None, tally: Tally) -> None:
    """Ask torch and Weft about every sample. `gauge` makes of torch's results what is unique."""
    op = info.op if gauge is None else lambda *args, **named: gauge(info.op(*args, **named))
    for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
        try:
            what, expected = _compare(function, op, call_of(sample), info.supports_forward_ad)
        except Unexpressed as reason:
            tally.unexpressed[str(reason)] += 1
            continue
        tally.checked += 1
        tally.mapped += len(expected) > 1
        for answer in expected:
            tally.compared.update(answer.sizes())
        if what is not None:
            tally.differing[what] += 1


def _compare(
    function: Function, op: Function, call: Call, forward: bool
) -> tuple[str | None, list[Answer]]:
    """What differs, and the answers of torch: a second one if the sample could be mapped."""
    if not call.leaves:
        raise Unexpressed("nothing to differentiate by")
    leaves = [leaves_of(call)]
    answer, along = by_torch(op, call, leaves[0], forward)
    expected = [answer]
    near = leaves_of(call, NEARBY)
    try:
        expected.append(by_torch(op, call, near, forward)[0])
        leaves.append(near)
    except RuntimeError:  # the function is not defined there
        pass
    alone, *mapped = by_weft(function, call, leaves, along)
    what = difference(alone, answer, along)
    for found, other in zip(mapped, expected):
        what = what or _prefixed("mapped, ", difference(found, other, along))
    return what, expected


def _prefixed(prefix: str, what: str | None) -> str | None:
    return None if what is None else prefix + what
