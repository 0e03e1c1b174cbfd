"""The elementary functions: one definition each, in scalar terms, for float32 and float64.

Families of definitions are plain functions over `terms.Term`; `records` makes ops of them, which
this package exports.
"""

from weftc.ops.elementary.power import pow_lower
from weftc.ops.elementary.records import *  # noqa: F403

__all__ = ["pow_lower"]
