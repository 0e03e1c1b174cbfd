"""Every error Weft raises on purpose; each derives from the builtin a NumPy user would catch."""

from __future__ import annotations

import numpy as np


class WeftError(Exception):
    """Base of all of Weft's own errors. One that `is_located` starts with the user's line."""

    is_located = False


class ShapeError(WeftError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(WeftError, TypeError):
    """A dtype that an operation does not take, or that Weft does not have."""


class RangeError(WeftError, OverflowError):
    """A Python integer outside the dtype that it would have to take."""


class TraceError(WeftError, TypeError):
    """Python code that cannot be traced: a branch on a traced value, a leaked tracer, ..."""


class IndexingError(WeftError, IndexError):
    """An index that an array does not take: too many, two ellipses, no integer."""


class OutOfBoundsError(WeftError, IndexError):
    """An index outside its axis, found while a kernel ran."""


class LinAlgError(WeftError, np.linalg.LinAlgError):
    """A matrix that is singular, or not positive definite, found while a program ran."""


class CheckError(WeftError, AssertionError):
    """A condition that a program was asked to check, and that did not hold."""


class DonatedError(WeftError, RuntimeError):
    """The use of an array whose memory was given to a function that was to have it."""


class OutOfMemoryError(WeftError, MemoryError):
    """Memory that cannot be had: more than there is, or more than any array can take."""


class UsageError(WeftError, ValueError):
    """A wrong argument to Weft's own API: an unknown stage, a bad knob, a bad CLI argument."""


class VerifyError(WeftError):
    """A malformed graph or loop function: a bug in a pass or a schedule, never the user's."""


class CompileError(WeftError):
    """The backend refused a kernel: a bug in Weft. The message names the dump to attach."""


class MemoryCheckError(WeftError):
    """A kernel that touches memory which is not its own, or leaves some of its own unwritten: a bug
    in Weft, found under WEFT_CHECK_MEMORY=1."""
