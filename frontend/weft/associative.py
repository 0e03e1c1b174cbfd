"""associative_scan: what runs along an axis by any associative function, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft import diagnostics, dispatch, tree
from weft.bodies import fits, returned
from weft.control import Function, called, check_functions, place_text, tree_text, value_text
from weft.ops import core, movement
from weft.promotion import convert
from weft.symbolic import value_of
from weft.tracing import Tracer, apply, call_function, lift, state
from weft.tree import Structure
from weftc.ir.sizes import Size
from weftc.ops.check import same_sizes
from weftrt.errors import DTypeError, ShapeError, UsageError


def associative_scan(f: Function, xs: Any, reverse: bool = False, axis: int = 0) -> Any:
    """The results of combining each element of the tree `xs` along `axis` with all before it by the
    associative function `f(a, b)`; with all after it where `reverse` holds: ys[0] = xs[0],
    ys[k] = f(ys[k - 1], xs[k]).

    `f` takes two trees like `xs` and returns one, of as many elements along `axis`, which it
    combines one by one: it is called on many elements at once (wf.vmap makes such a function of one
    of single elements), once for each of about 2 log2(n) levels. With `reverse`, its first argument
    is what comes later.

    Neighbours are combined, (0, 1), (2, 3) and so on; the same scan of what they give is every
    second result; each of the others is one of these and an element. That is a tree of depth
    2 log2(n) (Blelloch, "Prefix sums and their applications", 1990), and a fixed order: floats have
    the same bits in every run, though not those of a `scan`.

    A program serves one number of elements: each has a tree of its own. ShapeError where arrays
    have no such axis, or differ in its size, or f changes a shape; DTypeError and UsageError, with
    the lines, where f changes a dtype or the tree.
    """
    check_functions("associative_scan", f=f)
    if state.trace is None:
        run: Function = lambda xs: associative_scan(f, xs, reverse, axis)  # noqa: E731
        return dispatch.run_now("associative_scan", run, xs)
    core.flag("associative_scan", "reverse", reverse)
    return _Scan(f, xs, axis).run(reverse)


class _Scan:
    """Leaves of one structure, of `count` elements along an axis of each."""

    def __init__(self, f: Function, xs: Any, axis: Any) -> None:
        found, self._structure = tree.flatten_with_paths(xs)
        if not found:
            problem = "associative_scan: there is no array in xs to combine elements of"
            raise diagnostics.located(UsageError, problem)
        self._f = f
        self._paths = [path for path, _ in found]
        self._leaves = [lift(leaf, f"associative_scan: xs{path}") for path, leaf in found]
        self._axes = [_axis(path, x, axis) for path, x in zip(self._paths, self._leaves)]
        self._count = value_of(self._size())

    def run(self, reverse: bool) -> Any:
        """The results."""
        leaves = self._flipped(self._leaves) if reverse else self._leaves
        leaves = self._scan(leaves, self._count)
        return self._structure.unflatten(self._flipped(leaves) if reverse else leaves)

    def _size(self) -> Size:
        """How many elements there are, of each array; ShapeError names two that differ."""
        sizes = [leaf.type.shape[axis] for leaf, axis in zip(self._leaves, self._axes)]
        for path, size in zip(self._paths, sizes):
            if not same_sizes((sizes[0],), (size,)):
                first = f"xs{self._paths[0]} has {sizes[0]} elements"
                problem = f"associative_scan: {first}, but xs{path} has {size}"
                raise diagnostics.located(ShapeError, problem)
        return sizes[0]

    def _scan(self, leaves: Sequence[Tracer], count: int) -> list[Tracer]:
        """The results of `count` elements."""
        if count < 2:
            return list(leaves)
        pairs = count // 2
        firsts, seconds = self._part(leaves, 0, 2 * pairs, 2), self._part(leaves, 1, 2 * pairs, 2)
        odd = self._scan(self._combined(firsts, seconds), pairs)
        first, rest = self._part(leaves, 0, 1), self._part(leaves, 2, count, 2)
        if not rest[0].type.shape[self._axes[0]]:
            return self._joined(first, odd)
        before = self._part(odd, 0, (count - 1) // 2)
        even = self._joined(first, self._combined(before, rest))
        return self._interleaved(even, odd, pairs, count)

    def _combined(self, a: Sequence[Tracer], b: Sequence[Tracer]) -> list[Tracer]:
        """f of two trees, which has to be one like them."""
        f, given = self._f, (self._structure.unflatten(a), self._structure.unflatten(b))
        call: Function = lambda: call_function(f, *given)  # noqa: E731
        result = called("associative_scan", ["a", "b"], "f", f, call)
        found, structure = tree.flatten_with_paths(result)
        name, at = getattr(f, "__name__", "f"), diagnostics.definition(f)
        made = [returned(name, path, leaf, at) for path, leaf in found]
        if structure != self._structure:
            place = diagnostics.at_path(tree.difference(self._structure, structure)[0])
            self._changed(UsageError, f"its structure{place}", a, made, structure)
        for path, one, two in zip(self._paths, b, made):
            place = diagnostics.at_path(path)
            if not same_sizes(one.type.shape, two.type.shape):
                self._changed(ShapeError, f"a shape{place}", a, made, structure)
            if not fits(two, one.dtype):
                self._changed(DTypeError, f"a dtype{place}", a, made, structure)
        return [convert(two, one.dtype) for one, two in zip(b, made)]

    def _changed(
        self,
        kind: type[UsageError] | type[ShapeError] | type[DTypeError],
        what: str,
        given: Sequence[Tracer],
        made: Sequence[Tracer],
        structure: Structure,
    ) -> None:
        problem = f"associative_scan: f changes {what}:"
        problem += f"\n    it takes two of {tree_text(self._structure, given)}"
        problem += f"\n    and returns {tree_text(structure, made)}"
        place = place_text(diagnostics.definition(self._f))
        raise diagnostics.located(kind, problem + place)

    # -- parts of all leaves --------------------------------------------------------------------

    def _part(self, leaves: Sequence[Tracer], *bounds: int) -> list[Tracer]:
        pairs = zip(leaves, self._axes, strict=True)
        return [x[(*(slice(None),) * axis, slice(*bounds))] for x, axis in pairs]

    def _joined(self, *parts: Sequence[Tracer]) -> list[Tracer]:
        pairs = zip(zip(*parts, strict=True), self._axes, strict=True)
        return [apply("concat", *some, axis=axis) for some, axis in pairs]

    def _flipped(self, leaves: Sequence[Tracer]) -> list[Tracer]:
        pairs = zip(leaves, self._axes, strict=True)
        return [apply("flip", x, axes=(axis,)) for x, axis in pairs]

    def _interleaved(
        self, even: Sequence[Tracer], odd: Sequence[Tracer], pairs: int, count: int
    ) -> list[Tracer]:
        """even[0], odd[0], even[1], ..., of which even may have one more."""
        found = [
            _alternating(one, two, axis)
            for one, two, axis in zip(self._part(even, 0, pairs), odd, self._axes)
        ]
        return found if 2 * pairs == count else self._joined(found, self._part(even, pairs, count))


def _axis(path: str, x: Tracer, axis: Any) -> int:
    number = core.integer("associative_scan", "an axis", axis, UsageError)
    if not -x.ndim <= number < x.ndim:
        problem = f"associative_scan: xs{path} is {value_text(x)}, which has no axis {axis}"
        raise diagnostics.located(ShapeError, problem)
    return number % x.ndim


def _alternating(one: Tracer, two: Tracer, axis: int) -> Tracer:
    """one[0], two[0], one[1], two[1], ... along an axis."""
    shape = one.type.shape
    both = movement.stack([one, two], axis + 1)
    return apply("reshape", both, shape=(*shape[:axis], shape[axis] * 2, *shape[axis + 1 :]))
