"""What sizes can be: bounds, exact byte counts, and the words that refuse what is beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from weftrt.dtypes import DType
from weftrt.errors import OutOfMemoryError

MAXIMUM_RANK = 8
"""No array has more axes."""
MOST_BYTES = 1 << 56
"""No array and no arena is larger; what stays below does not overflow in 64 bits."""

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_MOST_SCALED = 999 * 1000 ** (len(_PREFIXES) - 1)


def byte_count(dtype: DType, shape: Sequence[int]) -> int:
    """Bytes of an array, exact however large; axes of no elements count as 1, as in NumPy."""
    return dtype.itemsize * prod(max(size, 1) for size in shape)


def amount(bytes: int) -> str:
    """ "4,096 bytes", "4,294,967,296 bytes (4.29 GB)"."""
    text = f"{bytes:,} bytes"
    return f"{text} ({scaled(bytes)}B)" if 1_000_000 <= bytes < _MOST_SCALED else text


def scaled(number: int) -> str:
    """ "12 ", "1.5 k", "4.29 G": a count of bytes or operations, before the letter that says of
    which; up to 999 Y."""
    value, power = float(number), 0
    while value >= 999.5:  # which would be rounded to 1e+03
        value, power = value / 1000, power + 1
    return f"{value:.3g} {_PREFIXES[power]}"


def no_memory(what: str, dtype: DType, shape: Sequence[int]) -> OutOfMemoryError:
    """The error for an array that cannot be had; `what` names it ("an array")."""
    type_text = f"{dtype.short}[{','.join(map(str, shape))}]"
    return OutOfMemoryError(
        f"there is no memory for {what} {type_text} of {amount(byte_count(dtype, shape))}"
    )


def no_arena(name: str, bytes: int) -> OutOfMemoryError:
    """The error for intermediate results that cannot be had."""
    return OutOfMemoryError(
        f"there is no memory for the intermediate results of {name}, {amount(bytes)}"
    )


def fits_word(number: int) -> int:
    """`number`, which native code is to have in 64 bits; OutOfMemoryError if it cannot."""
    if -(1 << 63) <= number < 1 << 63:
        return number
    raise OutOfMemoryError(f"a size of {number:,} is more than any memory can hold")


def floor_quotient(dividend: int, divisor: int) -> int:
    """A quotient of sizes, rounded down; 0 where the divisor is not positive."""
    return dividend // divisor if divisor > 0 else 0
