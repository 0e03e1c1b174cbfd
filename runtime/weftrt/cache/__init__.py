"""The disk cache: checked, atomic, bounded, and never needed."""

from weftrt.cache.store import Stats, Store, default_store

__all__ = ["Stats", "Store", "default_store"]
