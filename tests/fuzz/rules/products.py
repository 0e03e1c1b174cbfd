"""Rules that append products, new arrays, and losses."""

from __future__ import annotations

from tests.fuzz.drawer import Drawer, broadcasts
from tests.fuzz.program import Literal
from tests.fuzz.reference.values import FLOATS, INTEGERS, Bounded, Invalid
from tests.fuzz.rules.movement import are_indices
from tests.fuzz.rules.operands import any_value, number, required


def matmul(d: Drawer) -> None:
    """With what fits, or with its own transpose."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.dtype != "bool"))
    inner, dtype = d.values[value].shape[-1], d.values[value].dtype

    def fits(v: Bounded) -> bool:
        return v.ndim >= 1 and v.dtype == dtype and v.shape[-2:][0] == inner

    other = d.pick(fits)
    if other is None or (d.chance(0.3) and d.values[value].ndim >= 2):
        other = d.emit("matrix_transpose", value, form="property")
    d.emit("matmul", value, other, form=d.rng.choice(("function", "operator")))


def einsum(d: Drawer) -> None:
    """Subscripts drawn for two values by giving one letter to axes of one size."""
    value = required(d.pick(lambda v: 1 <= v.ndim <= 4 and v.dtype != "bool"))
    dtype = d.values[value].dtype
    letters = "ijklmnop"
    first = letters[: d.values[value].ndim]
    sizes = dict(zip(first, d.values[value].shape))
    if d.chance(0.25):
        kept = [c for c in first if d.chance(0.6)]
        d.rng.shuffle(kept)
        d.emit("einsum", value, subscripts=f"{first}->{''.join(kept)}")
        return
    other = required(d.pick(lambda v: v.dtype == dtype and v.ndim <= 4))
    second = ""
    for size in d.values[other].shape:
        shared = [c for c in first if sizes[c] == size and c not in second]
        new = [c for c in letters if c not in first and c not in second][:1]
        letter = d.rng.choice(shared) if shared and d.chance(0.75) else new[0]
        second += letter
    present = list(dict.fromkeys(first + second))
    kept = [c for c in present if d.chance(0.35 if c in first and c in second else 0.75)]
    d.rng.shuffle(kept)
    implicit = d.chance(0.1)
    result = "" if implicit else f"->{''.join(kept)}"
    d.emit("einsum", value, other, subscripts=f"{first},{second}{result}")


def product(d: Drawer) -> None:
    kind = d.rng.random()
    if kind < 0.4:
        value = required(d.pick(lambda v: v.ndim == 1 and v.dtype != "bool"))
        dtype = d.values[value].dtype
        other = required(d.pick(lambda v: v.ndim == 1 and v.dtype == dtype))
        d.emit("outer", value, other)
    elif kind < 0.7:
        value = required(d.pick(lambda v: v.ndim >= 1 and v.dtype != "bool"))
        shape, dtype = d.values[value].shape, d.values[value].dtype
        other = required(
            d.pick(lambda v: v.dtype == dtype and v.shape[-1:] == shape[-1:]
                   and broadcasts(v.shape, shape))
        )  # fmt: skip
        d.emit("vecdot", value, other)
    else:
        value, other = number(d), number(d)
        d.emit("tensordot", value, other, axes=d.rng.choice((0, 1, 1, 2)))


def creation(d: Drawer) -> None:
    """Ranges, constants and masks beside an array: the last axis' index, the identity, ..."""
    value, kind = any_value(d), d.rng.random()
    shape = d.values[value].shape or (3,)
    dtype = d.rng.choice(("int64", "float32", "int32", "float64"))
    if kind < 0.35:
        d.emit("arange", start=0, stop=shape[-1], step=1, dtype=dtype)
    elif kind < 0.45:
        d.emit("arange", start=shape[-1], stop=-2, step=-3, dtype=dtype)
    elif kind < 0.65 and len(shape) >= 2:
        d.emit("eye", rows=shape[-2], columns=shape[-1], k=d.rng.choice((0, 0, 1, -1)))
    elif kind < 0.75:
        d.emit("linspace", start=-1.0, stop=2.5, num=shape[-1], dtype=d.rng.choice(FLOATS))
    elif kind < 0.85:
        d.emit("full", shape=shape, value=d.rng.choice((0, 1, 3)), dtype=dtype)
    else:
        d.emit("full_like", value, fill=d.rng.choice((0, 1)))


def cross_entropy(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.ndim >= 1 and v.is_float and v.shape[-1] > 0))
    shape = d.values[value].shape

    def fits(v: Bounded) -> bool:
        return v.shape == shape[:-1] and are_indices(v, shape[-1]) and bool((v.value >= 0).all())

    labels = d.pick(fits)
    if labels is None:
        labels = d.emit("full", shape=shape[:-1], value=d.rng.randrange(shape[-1]), dtype="int64")
    d.emit("nn.cross_entropy", value, labels)


def scalars(d: Drawer) -> None:
    """Arithmetic among scalars alone, then with an array."""
    weak = [n for n, v in enumerate(d.values) if v.weak and v.dtype != "bool"]
    if not weak:
        raise Invalid("no scalar")
    name = d.rng.choice(("add", "subtract", "multiply"))
    scalar = d.emit(name, d.rng.choice(weak), Literal(d.rng.choice((2, 0.5, 3))), form="operator")
    d.emit(d.rng.choice(("add", "multiply", "maximum")), number(d), scalar)


def one_hot(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.dtype in INTEGERS and v.ndim <= 2))
    dtype = d.rng.choice(("float32", "float64", "int32", "bool"))
    axis = d.rng.choice((-1, -1, 0))
    d.emit("one_hot", value, num_classes=d.rng.choice((1, 3, 5)), dtype=dtype, axis=axis)
