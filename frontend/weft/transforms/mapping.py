"""`weft.vmap`: a function of one element as a function of many, by mapping its graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from weft import diagnostics, tree
from weft.bodies import returned
from weft.promotion import as_strong
from weft.symbolic import plain
from weft.tracing import Trace, Tracer, active, call_function, entered, lift
from weft.transforms.arguments import check_function
from weft.transforms.kept import compiled, kept
from weftc.ir.constraints import assume_equal
from weftc.ir.node import Node
from weftc.ir.sizes import Dim, Size
from weftc.ops import build
from weftc.ops.check import describe
from weftc.transforms.batch import batch, is_mapped
from weftrt.errors import ShapeError, TraceError, UsageError, WeftError


def vmap(
    function: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, axis_size: int | None = None
) -> Callable[..., Any]:
    """`function` of each element of axes of its arguments, the results stacked.

    `in_axes` is the axis of every array, or one entry for each positional argument: an axis, None
    for what is the same for all elements, or a tree of these with the structure of the argument, or
    of its upper part. Keyword arguments are mapped along axis 0. Python numbers, and values that
    the function reads from around it, are the same for all. `out_axes` says likewise where the new
    axis is in the results; a result that is the same for all is repeated, or given once where its
    axis is None. `axis_size` is needed only if no argument has a mapped axis.

    Each element of a result has the bits that `function` gives for it alone, but for products of a
    matrix that is the same for all with a vector that is not: those have the bits of one product of
    matrices. ShapeError names the
    arguments whose sizes differ, or that have no such axis; UsageError where there is nothing to
    map, or the axes do not fit the trees. A function that prints, checks or calls back cannot be
    mapped (TraceError).
    """
    check_function("vmap", function)
    axes = _fixed("in_axes", in_axes), _fixed("out_axes", out_axes)
    return kept(_mapped, function, *axes, None if axis_size is None else _size(axis_size))


def _mapped(
    function: Callable[..., Any], given: Any, new: Any, size: Size | None
) -> Callable[..., Any]:
    in_axes, out_axes = _tree(given), _tree(new)

    @functools.wraps(function)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        return _Map(function, size).run(args, kwargs, in_axes, out_axes)

    return compiled(mapped, function)


class _MapTrace(Trace):
    """The run of a function on one element. Its nodes are nodes of the trace around it, `parent`,
    until they are mapped; its values end with it."""

    def __init__(self, name: str, parent: Trace) -> None:
        super().__init__(name, 0)
        self._parent = parent

    @property
    def home(self) -> Trace:
        return self._parent.home

    def last_token(self) -> NoReturn:
        problem = f"vmap: {self.name} has an effect (a print, check or callback), which cannot be"
        raise diagnostics.located(TraceError, f"{problem} mapped")

    def node_of(self, tracer: Tracer) -> Node:
        return super().node_of(tracer) if tracer.is_of(self) else self._parent.node_of(tracer)

    def knows(self, tracer: Tracer) -> bool:
        return self._parent.knows(tracer)

    def note_numpy(self) -> None:
        self._parent.note_numpy()

    def capture(self, array: Any) -> Node:
        return self._parent.capture(array)

    def narrow(self, node: Node, low: int, high: int) -> None:
        self._parent.narrow(node, low, high)


class _Map:
    """One call of a mapped function. `size` is that of the mapped axes, once one is known, and
    `named` tells what has it; `inputs` are the elements, with the arrays that they are of."""

    def __init__(self, function: Callable[..., Any], size: Size | None) -> None:
        self.function = function
        self.name = getattr(function, "__name__", "the function")
        self.size = size
        self.named = "axis_size is {}"
        self.inputs: dict[Node, Node] = {}

    def run(self, args: Any, kwargs: dict[str, Any], in_axes: Any, out_axes: Any) -> Any:
        """The stacked results."""
        trace = _MapTrace(self.name, active())
        given = [
            self._elements(trace, f"argument {place}", value, axes)
            for place, (value, axes) in enumerate(_by_argument(args, in_axes))
        ]
        named = {
            key: self._elements(trace, f"argument {key!r}", value, 0)
            for key, value in kwargs.items()
        }
        if self.size is None:
            problem = "vmap: there is nothing to map: no argument has a mapped axis"
            raise diagnostics.located(UsageError, f"{problem}; axis_size= tells how many there are")
        with entered(trace):
            result = call_function(self.function, *given, **named)
            at = diagnostics.definition(self.function)
            found, structure = tree.flatten_with_paths(result)
            single = [as_strong(returned(self.name, path, x, at)).node for path, x in found]
        axes = _leaf_axes("out_axes", out_axes, result, f"the result of {self.name}")
        try:
            whole = batch(single, self.inputs, self.size)
        except WeftError as error:
            raise diagnostics.relocate(error, "vmap", []) from None
        paths = [path for path, _ in found]
        pairs = zip(paths, single, whole, axes, strict=True)
        results = [self._stacked(*pair, self.size) for pair in pairs]
        return structure.unflatten([Tracer(node, active()) for node in results])

    def _elements(self, trace: Trace, what: str, value: Any, axes: Any) -> Any:
        """A tree with a value for one element in the place of each mapped array."""
        found, structure = tree.flatten_with_paths(value)
        chosen = _leaf_axes("in_axes", axes, value, what)
        pairs = zip(found, chosen, strict=True)
        return structure.unflatten([self._element(trace, what + p, x, a) for (p, x), a in pairs])

    def _element(self, trace: Trace, what: str, leaf: Any, axis: int | None) -> Any:
        if axis is None:
            return leaf
        value = lift(leaf, f"{what} of vmap")
        if value.weak:
            return leaf
        rank, shape = value.ndim, value.type.shape
        if not -rank <= axis < rank:
            problem = f"vmap: {what} is {describe(value.type)}, which has no axis {axis} to map"
            hint = "" if rank else "; in_axes=None is for what is the same for all"
            raise diagnostics.located(ShapeError, problem + hint)
        axis %= rank
        self._note(f"{what} has {{}} along axis {axis}", shape[axis])
        name = value.node["name"] if value.node.op.name == "input" else what
        type_ = value.type.with_shape(shape[:axis] + shape[axis + 1 :])
        element = build.argument(0, name, type_)
        self.inputs[element] = build.to_front(value.node, axis)
        return Tracer(element, trace)

    def _note(self, named: str, size: Size) -> None:
        """Take note of one more mapped axis."""
        if self.size is None:
            self.size, self.named = size, named
        elif not assume_equal(self.size, size):
            texts = self.named.format(self.size), named.format(size)
            problem = f"vmap: the mapped sizes differ: {texts[0]}, but {texts[1]}"
            raise diagnostics.located(ShapeError, problem)

    def _stacked(self, path: str, single: Node, whole: Node, axis: int | None, size: Size) -> Node:
        """A result with the mapped axis in its place."""
        what = f"the result of {self.name}{path}"
        mapped = is_mapped(single, whole)
        if axis is None:
            if mapped:
                problem = f"vmap: out_axes is None for {what}, which is not the same for all"
                raise diagnostics.located(UsageError, f"{problem} elements")
            return whole
        if not mapped:
            shape = (size, *whole.type.shape)
            whole = build.expand(whole, shape, range(1, len(shape)))
        rank = whole.type.rank
        if not -rank <= axis < rank:
            problem = f"vmap: out_axes is {axis} for {what}, but with the new axis there are {rank}"
            raise diagnostics.located(ShapeError, problem)
        return build.from_front(whole, axis % rank)


def _size(size: Any) -> Size:
    found = plain(size)
    if isinstance(found, Dim) or (type(found) is int and found >= 0):
        return found
    problem = f"vmap: axis_size is the number of elements, not {size!r:.40}"
    raise diagnostics.located(UsageError, problem)


# ---------------------------------------------------------------------------------------------
# Axes of trees
# ---------------------------------------------------------------------------------------------


class _Axes(NamedTuple):
    """A tree of axes that can be compared, and that nobody changes."""

    leaves: tuple[int, ...]
    structure: tree.Structure


def _fixed(what: str, axes: Any) -> Any:
    """`axes`, or what they are as a tree; UsageError if they are none."""
    single = axes if type(axes) is tuple else (axes,)
    if all(axis is None or type(axis) is int for axis in single):
        return axes
    _check(what, axes)
    leaves, structure = tree.flatten(axes)
    return _Axes(tuple(leaves), structure)


def _tree(axes: Any) -> Any:
    return axes.structure.unflatten(axes.leaves) if isinstance(axes, _Axes) else axes


def _check(what: str, axes: Any) -> None:
    """UsageError unless `axes` is an axis, None, or a tree of these."""
    for path, leaf in tree.flatten_with_paths(axes)[0]:
        if type(leaf) is not int:
            place = diagnostics.at_path(path)
            problem = f"vmap: {what} holds axes (integers) and None, not {leaf!r:.40}{place}"
            raise diagnostics.located(UsageError, problem)


def _by_argument(args: Sequence[Any], in_axes: Any) -> Iterator[tuple[Any, Any]]:
    """Each positional argument with its axes."""
    if in_axes is None or isinstance(in_axes, int):
        in_axes = (in_axes,) * len(args)
    if not isinstance(in_axes, (tuple, list)) or len(in_axes) != len(args):
        problem = f"vmap: in_axes is {in_axes!r:.60}; it has one entry for each argument passed by"
        raise diagnostics.located(UsageError, f"{problem} position, which are {len(args)}")
    return zip(args, in_axes)


def _leaf_axes(name: str, axes: Any, value: Any, what: str) -> list[int | None]:
    """The axis of each leaf of `value`, where `axes` is a tree of its structure or of the upper
    part of it."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(tree.leaves(value))
    split = tree.rules_of(type(axes)).split
    keys, children, _ = split(axes)
    if type(value) is not type(axes) or split(value)[0] != keys:
        found = tree.structure(value)
        problem = f"vmap: {name} is {axes!r:.60} for {what}, which is {_text(found)}"
        raise diagnostics.located(UsageError, problem)
    found_axes: list[int | None] = []
    for key, part, of in zip(keys, children, split(value)[1], strict=True):
        found_axes += _leaf_axes(name, part, of, f"{what}[{key!r}]")
    return found_axes


def _text(structure: tree.Structure) -> str:
    return "one array" if structure == tree.LEAF else str(structure)
