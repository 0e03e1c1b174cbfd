"""The elementary functions: one definition each, in scalar terms, for float32 and float64.

Families of definitions are plain functions over `terms.Term`; `records` makes ops of them.
"""

from weftc.ops.elementary.power import pow_lower

__all__ = ["pow_lower"]
