"""Pytrees: nested containers of leaves.

Tuples, lists, dicts, named tuples and registered classes are branches; None is a branch without
children; anything else is a leaf. The leaves of a dict come in the order of its sorted keys,
however it was filled, and a dict that is built again has that order; only keys that cannot be
sorted stay in order of insertion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from weft import diagnostics
from weft.boundary import public
from weft.names import listed, missing
from weftrt.errors import UsageError
from weftrt.forks import ForkLock
from weftrt.signature import equal

_Class = TypeVar("_Class", bound=type)


@dataclass(frozen=True, eq=False)
class Structure:
    """The shape of a tree: a leaf (kind is None), or a branch of `kind` with named children.

    Keys and `extra` are compared strictly: 1 is not True (see `weftrt.signature.equal`).
    """

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    extra: Any = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Structure)
            and self.kind is other.kind
            and equal(self.keys, other.keys)
            and equal(self.extra, other.extra)
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))

    def depth(self) -> int:
        """How many branches lie one in another."""
        return 1 + max((child.depth() for child in self.children), default=0)

    def leaves(self) -> int:
        """How many leaves a tree of this structure has."""
        return 1 if self.kind is None else sum(child.leaves() for child in self.children)

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """The tree of this structure with these leaves."""
        if len(leaves) != self.leaves():
            problem = f"the tree {self} has {self.leaves()} leaves, but got {len(leaves)}"
            raise diagnostics.located(UsageError, problem)
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        children = [child._build(leaves) for child in self.children]
        return rules_of(self.kind).join(self.kind, self.keys, self.extra, children)

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        if self.kind is type(None):
            return "None"
        if self.kind in (tuple, list):
            text = ", ".join(map(str, self.children))
            one = "," if self.kind is tuple and len(self.children) == 1 else ""
            return f"[{text}]" if self.kind is list else f"({text}{one})"
        if self.kind is dict:
            parts = [f"{k!r}: {c}" for k, c in zip(self.keys, self.children, strict=True)]
            return f"{{{', '.join(parts)}}}"
        parts = [f"{k}={c}" for k, c in zip(self.keys, self.children, strict=True)]
        return f"{self.kind.__name__}({', '.join(parts)})"


class TooDeep(UsageError):
    """A tree of too many branches in one another."""


LEAF = Structure(None)
DEEPEST = 250
"""How deep branches are in one another, at most: Python's own limit has no words for it."""


@dataclass(frozen=True)
class Rules:
    """How one kind of branch comes apart, (keys, children, extra), and is put together again; for
    classes that were registered with functions, these."""

    split: Callable[[Any], tuple[tuple[Any, ...], Sequence[Any], Any]]
    join: Callable[[type, tuple[Any, ...], Any, list[Any]], Any]
    flatten: Callable[[Any], tuple[Sequence[Any], Any]] | None = None
    unflatten: Callable[[Any, list[Any]], Any] | None = None


def _split_sequence(tree: Any) -> tuple[tuple[Any, ...], Sequence[Any], Any]:
    return tuple(range(len(tree))), tree, None


def _split_dict(tree: dict[Any, Any]) -> tuple[tuple[Any, ...], Sequence[Any], Any]:
    try:
        keys = sorted(tree)
    except TypeError:
        keys = list(tree)
    return tuple(keys), [tree[key] for key in keys], None


_NAMED_TUPLE = Rules(
    lambda tree: (tree._fields, tree, None),
    lambda kind, keys, extra, children: kind(*children),
)
_KINDS: dict[type, Rules] = {
    type(None): Rules(lambda tree: ((), (), None), lambda kind, keys, extra, children: None),
    tuple: Rules(_split_sequence, lambda kind, keys, extra, children: tuple(children)),
    list: Rules(_split_sequence, lambda kind, keys, extra, children: children),
    dict: Rules(
        _split_dict,
        lambda kind, keys, extra, children: dict(zip(keys, children, strict=True)),
    ),
}
_lock = ForkLock()


def rules_of(kind: type) -> Rules:
    """The rules of a class of branches; UsageError if it is none."""
    found = _KINDS.get(kind)
    if found is None and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _NAMED_TUPLE
    if found is None:
        raise diagnostics.located(
            UsageError, f"{kind.__name__} is not a registered tree class (weft.tree.register)"
        )
    return found


def is_branch(tree: Any) -> bool:
    """Whether `tree` is a container that has children of its own."""
    kind = type(tree)
    return kind in _KINDS or (isinstance(tree, tuple) and hasattr(kind, "_fields"))


@public
def register(
    cls: _Class,
    flatten: Callable[[Any], tuple[Sequence[Any], Any]] | None = None,
    unflatten: Callable[[Any, list[Any]], Any] | None = None,
) -> _Class:
    """Make a class a branch. A dataclass needs no more; its fields are the children.

    Else `flatten(tree)` gives (children, hashable extra) and `unflatten(extra, children)` the tree.
    Usable as a decorator.
    """
    if not isinstance(cls, type):
        raise diagnostics.located(UsageError, f"register takes a class, not {cls!r:.40}")
    if flatten is not None and unflatten is not None:
        rules = _functions(flatten, unflatten)
    elif dataclasses.is_dataclass(cls):
        rules = _dataclass([f.name for f in dataclasses.fields(cls)])
    else:
        raise diagnostics.located(
            UsageError, f"{cls.__name__} is no dataclass: give register flatten and unflatten"
        )
    with _lock:
        if cls in _KINDS:
            raise diagnostics.located(UsageError, f"{cls.__name__} is already a tree class")
        _KINDS[cls] = rules
    return cls


def _dataclass(names: list[str]) -> Rules:
    def join(kind: type, keys: tuple[Any, ...], extra: Any, children: list[Any]) -> Any:
        built: Any = object.__new__(kind)
        for key, child in zip(keys, children, strict=True):
            object.__setattr__(built, key, child)
        return built

    return Rules(lambda tree: (tuple(names), [getattr(tree, n) for n in names], None), join)


def _functions(
    flatten: Callable[[Any], tuple[Sequence[Any], Any]],
    unflatten: Callable[[Any, list[Any]], Any],
) -> Rules:
    def split(tree: Any) -> tuple[tuple[Any, ...], Sequence[Any], Any]:
        children, extra = flatten(tree)
        return tuple(range(len(children))), children, extra

    def join(kind: type, keys: tuple[Any, ...], extra: Any, children: list[Any]) -> Any:
        return unflatten(extra, children)

    return Rules(split, join, flatten, unflatten)


@public
def flatten(tree: Any, until: Callable[[Any], bool] | None = None) -> tuple[list[Any], Structure]:
    """(leaves, structure). Where `until(subtree)` holds, the subtree is taken as a leaf."""
    found: list[Any] = []
    structure = _flatten(tree, (), lambda path, leaf: found.append(leaf), until)
    return found, structure


@public
def flatten_with_paths(
    tree: Any, as_filled: bool = False
) -> tuple[list[tuple[str, Any]], Structure]:
    """Like `flatten`, with each leaf's path as text: ".layers[0]['weight']". With `as_filled` dicts
    keep their order of insertion."""
    found: list[tuple[str, Any]] = []

    def visit(path: tuple[str, ...], leaf: Any) -> None:
        found.append(("".join(path), leaf))

    return found, _flatten(tree, (), visit, None, as_filled)


def _flatten(
    tree: Any,
    path: tuple[str, ...],
    visit: Callable[[tuple[str, ...], Any], None],
    until: Callable[[Any], bool] | None,
    as_filled: bool = False,
) -> Structure:
    if not is_branch(tree) or (until is not None and until(tree)):
        visit(path, tree)
        return LEAF
    if len(path) > DEEPEST:
        problem = f"a tree is nested more than {DEEPEST} deep, or contains itself"
        raise diagnostics.located(TooDeep, problem)
    kind = type(tree)
    keys, children, extra = rules_of(kind).split(tree)
    if kind is dict and as_filled:
        keys, children = tuple(tree), list(tree.values())
    steps = [_step(kind, key) for key in keys]
    built = tuple(
        _flatten(child, (*path, step), visit, until, as_filled)
        for step, child in zip(steps, children, strict=True)
    )
    return Structure(kind, keys, built, extra)


def _step(kind: type, key: Any) -> str:
    return f".{key}" if kind is not dict and isinstance(key, str) else f"[{key!r}]"


@public
def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, in order."""
    return flatten(tree)[0]


@public
def structure(tree: Any) -> Structure:
    """The structure of a tree."""
    return flatten(tree)[1]


@public
def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The tree with this structure and these leaves."""
    if not isinstance(structure, Structure):
        problem = f"unflatten takes a structure (tree.structure), not {structure!r:.40}"
        raise diagnostics.located(UsageError, problem)
    return structure.unflatten(leaves)


@public
def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """`function` of corresponding leaves of trees of equal structure, as a tree."""
    first, shape = flatten(tree)
    others = [_matching(shape, other, position + 2) for position, other in enumerate(rest)]
    return shape.unflatten([function(*items) for items in zip(first, *others, strict=True)])


def _matching(expected: Structure, tree: Any, position: int) -> list[Any]:
    found, shape = flatten(tree)
    if shape != expected:
        where, first, other = difference(expected, shape)
        place = diagnostics.at_path(where)
        raise diagnostics.located(
            UsageError, f"trees differ{place}: the first has {first}, number {position} has {other}"
        )
    return found


def difference(left: Structure, right: Structure, leaf: str = "a leaf") -> tuple[str, str, str]:
    """Where two unequal structures first differ: (path, text of the left, text of the right). What
    stands alone is called `leaf`."""
    if left.kind is right.kind and equal(left.keys, right.keys):
        for key, a, b in zip(left.keys, left.children, right.children, strict=True):
            if a != b:
                path, first, other = difference(a, b, leaf)
                assert left.kind is not None
                return _step(left.kind, key) + path, first, other
    first, other = (leaf if s == LEAF else str(s) for s in (left, right))
    return "", first, other


if not TYPE_CHECKING:
    _NAMES = (
        "flatten",
        "flatten_with_paths",
        "leaves",
        "map",
        "register",
        "structure",
        "unflatten",
    )
    __getattr__ = public(missing("tree", _NAMES))
    __dir__ = listed(_NAMES)
