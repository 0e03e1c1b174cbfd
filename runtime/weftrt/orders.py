"""What the sort routines of the runtime are told: the order, and which results are wanted."""

from __future__ import annotations

ASCENDING, DESCENDING, LARGEST = 0, 1, 2
"""Orders: NaN is last, but in LARGEST (the order of top_k) it is first."""
VALUES, PLACES = 1, 2
"""Results; both together are 3."""
