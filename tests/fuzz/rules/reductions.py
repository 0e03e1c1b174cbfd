"""Rules that append a reduction, along axes or row by row."""

from __future__ import annotations

from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.program import Operand
from tests.fuzz.reference import namespace
from tests.fuzz.reference.values import DTYPES, FLOATS
from tests.fuzz.rules.operands import an_axis, any_value, required, some_axes, with_axis


def reduction(d: Drawer) -> None:
    names = namespace.REDUCTIONS
    if d.smooth:
        names = ("sum", "mean", "prod", "max", "min", "var", "std", "logsumexp", "sum", "mean")
    elif d.chance(0.4):
        names = ("sum", "mean", "max", "sum")
    name = d.rng.choice(names)
    value = with_axis(d) if d.chance(0.95) else any_value(d)
    axis: Any = some_axes(d, value)
    if name in ("argmax", "argmin") and isinstance(axis, tuple):
        axis = axis[0]
    options: dict[str, Any] = {} if axis is None else {"axis": axis}
    if d.chance(0.35):
        options["keepdims"] = True
    if name in ("sum", "prod") and d.chance(0.1):
        options["dtype"] = d.rng.choice(FLOATS if d.smooth else DTYPES[1:])
    if name in ("var", "std") and d.chance(0.3):
        options["correction"] = 1
    method = name != "logsumexp" and d.chance(0.4)
    d.emit(name, value, form="method" if method else "function", **options)


def rowwise(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.ndim >= 1 and v.is_float))
    name = d.rng.choice(namespace.ROWWISE)
    axis = an_axis(d, value)
    options = {"axis": axis} if d.chance(0.5) else {}
    operands: list[Operand] = [value]
    if name in ("layer_norm", "rms_norm") and not options and d.chance(0.5):
        last = d.values[value].shape[-1:]
        weight = d.pick(lambda v: v.shape == last and v.is_float)
        if weight is not None:
            operands += [weight, weight][: d.rng.randint(1, 2 if name == "layer_norm" else 1)]
    d.emit(name, *operands, **options)
