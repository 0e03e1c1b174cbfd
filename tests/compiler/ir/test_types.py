"""Tensor types as text."""

from __future__ import annotations

from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftrt import dtypes


def test_types_print_as_users_write_them() -> None:
    assert str(TensorType(dtypes.float32, (Dim.symbol("n"), 4))) == "f32[n,4]"
    assert str(TensorType(dtypes.bool_, ())) == "bool[]"
