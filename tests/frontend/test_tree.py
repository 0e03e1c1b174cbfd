"""Pytrees: round trips, order, registration, mismatches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft import tree
from weftrt.errors import UsageError


class Point(NamedTuple):
    x: Any
    y: Any


@tree.register
@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any


class Bag:
    def __init__(self, items: list[Any], label: str) -> None:
        self.items, self.label = items, label


tree.register(Bag, lambda bag: (bag.items, bag.label), lambda label, items: Bag(items, label))

TREES = st.recursive(
    st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Layer, inner, inner)
    ),
    max_leaves=8,
)


@given(TREES)
def test_round_trip(value: Any) -> None:
    leaves, structure = tree.flatten(value)
    assert structure.leaves() == len(leaves)
    assert None not in leaves
    assert tree.unflatten(structure, leaves) == value
    assert tree.map(lambda x: x, value) == value
    assert [leaf for _, leaf in tree.flatten_with_paths(value)[0]] == leaves


def test_dicts_have_the_order_of_their_sorted_keys() -> None:
    assert tree.leaves({"b": 1, "a": 2}) == [2, 1]
    assert tree.structure({"b": 1, "a": 2}) == tree.structure({"a": 3, "b": 4})
    assert tree.leaves({2: 0, "b": 1, "a": 2}) == [0, 1, 2]  # these cannot be sorted
    assert list(tree.map(abs, {"b": 1, "a": 2})) == ["a", "b"]
    assert tree.structure({1: 0}) != tree.structure({True: 0})


def test_paths_name_the_leaf() -> None:
    value = {"layers": [Layer(1, Point(2, 3))]}
    paths = [path for path, _ in tree.flatten_with_paths(value)[0]]
    assert paths == ["['layers'][0].weight", "['layers'][0].bias.x", "['layers'][0].bias.y"]


def test_registered_with_functions() -> None:
    doubled = tree.map(lambda x: 2 * x, Bag([1, [2]], "b"))
    assert (doubled.items, doubled.label) == ([2, [4]], "b")
    assert tree.structure(Bag([1], "b")) != tree.structure(Bag([1], "c"))


def test_mismatch_says_where() -> None:
    with pytest.raises(UsageError, match=r"trees differ at \['a'\]\[1\]: the first has a leaf"):
        tree.map(lambda x, y: x, {"a": [1, 2]}, {"a": [1, (2,)]})
    with pytest.raises(UsageError, match="has 2 leaves, but got 1"):
        tree.structure((1, 2)).unflatten([1])


def test_register_refuses() -> None:
    with pytest.raises(UsageError, match="already"):
        tree.register(Layer)
    with pytest.raises(UsageError, match="no dataclass"):
        tree.register(type("Plain", (), {}))
