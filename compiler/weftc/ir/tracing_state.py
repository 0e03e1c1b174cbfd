"""What a thread that makes nodes keeps: where they come from, and what is assumed of sizes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weftc.ir.constraints import Assumptions
    from weftc.ir.location import Location


class TracingState(threading.local):
    """`provider` says to which line of the user's a node that is made now belongs."""

    provider: Callable[[], Location | None] | None = None
    assumptions: Assumptions | None = None


state = TracingState()
"""Of this thread."""
