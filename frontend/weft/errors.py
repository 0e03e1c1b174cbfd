"""The errors that Weft raises; each is also the built-in error that a NumPy user would catch."""

from weftrt.errors import (
    CheckError,
    CompileError,
    DonatedError,
    DTypeError,
    IndexingError,
    LinAlgError,
    MemoryCheckError,
    OutOfBoundsError,
    OutOfMemoryError,
    RangeError,
    ShapeError,
    TraceError,
    UsageError,
    VerifyError,
    WeftError,
)

__all__ = [
    "CheckError",
    "CompileError",
    "DTypeError",
    "DonatedError",
    "IndexingError",
    "LinAlgError",
    "MemoryCheckError",
    "OutOfBoundsError",
    "OutOfMemoryError",
    "RangeError",
    "ShapeError",
    "TraceError",
    "UsageError",
    "VerifyError",
    "WeftError",
]

for _error in __all__:
    globals()[_error].__module__ = __name__  # where users find it
