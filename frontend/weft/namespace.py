"""What `weft.__array_namespace_info__()` answers: the Array API's inspection functions."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.ops.data_types import isdtype
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import UsageError
from weftrt.sizes import MAXIMUM_RANK


class Info:
    """Capabilities, dtypes and devices of the namespace."""

    def capabilities(self) -> dict[str, Any]:
        """No boolean masks and no shapes that depend on values: shapes are known when compiling."""
        return {
            "boolean indexing": False,
            "data-dependent shapes": False,
            "max dimensions": MAXIMUM_RANK,
        }

    def default_device(self) -> str:
        """Where arrays are made."""
        return "cpu"

    def devices(self) -> list[str]:
        """Where arrays can be."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """What Python numbers become."""
        _check(device)
        return {
            "real floating": dtypes.DEFAULT_FLOAT,
            "complex floating": dtypes.DEFAULT_COMPLEX,
            "integral": dtypes.DEFAULT_INT,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes by name: all, or those of a kind such as "integral"."""
        _check(device)
        return {d.name: d for d in dtypes.ALL if kind is None or isdtype(d, kind)}


def _check(device: Any) -> None:
    if device not in (None, "cpu"):
        raise diagnostics.located(UsageError, f"there is no device {device!r}; there is cpu")
