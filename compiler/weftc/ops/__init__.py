"""The primitives, one record each (weftc.ir.opdef), by family. `TABLE` holds them all by name."""

from weftc.ir.opdef import TABLE
from weftc.ops import movement, pointwise, source

__all__ = ["TABLE", "movement", "pointwise", "source"]
