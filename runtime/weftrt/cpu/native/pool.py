"""The memory pool: 64-byte aligned blocks in size classes, recycled through free lists.

Four classes an octave, so that a block wastes at most a fifth; the capacity of a block names its
class. Everything runs under the GIL. What is held unused is bounded by `limit`.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import cast, leading_zeros, stack
from weftrt.cpu.native.python import free, madvise, posix_memalign
from weftrt.cpu.native.types import I32, I64, Pointer, Ptr, Struct, inline, native, rare, static
from weftrt.sizes import MOST_BYTES

ALIGNMENT = 64
CLASSES = 256
HUGE_PAGE, LARGE = 2 << 20, 4 << 20
LARGEST = MOST_BYTES


class PoolState(Struct):
    """Free blocks by class (each begins with the address of the next), and the accounts."""

    used_bytes: I64
    used_blocks: I64
    held_bytes: I64
    held_blocks: I64
    limit: I64
    fresh_blocks: I64
    huge_advice: I64
    heads: Pointer[Pointer[Ptr]] = inline(256)


POOL = static(PoolState)


@native
def pool_capacity(size: I64) -> I64:
    """Bytes of the block that holds `size` bytes."""
    rounded = ((size if size > 0 else 1) + ALIGNMENT - 1) & (0 - ALIGNMENT)
    shift = 61 - leading_zeros(rounded - 1)
    return ((rounded - 1 >> shift) + 1) << shift


@native
def pool_class(capacity: I64) -> I64:
    """The size class of a capacity."""
    exponent = 63 - leading_zeros(capacity - 1)
    return exponent * 4 + ((capacity - 1 >> exponent - 2) & 3)


@rare
@native
def pool_fresh(capacity: I64) -> Ptr:
    """A block from the C library, NULL where there is none. Large ones ask for huge pages, which
    halves the cost of their first use."""
    place = stack(Ptr, 1)
    large = capacity >= LARGE and POOL.huge_advice != 0
    alignment = HUGE_PAGE if large else ALIGNMENT
    if posix_memalign(place, alignment, capacity) != 0:
        pool_trim(0)
        if posix_memalign(place, alignment, capacity) != 0:
            return None
    if large:
        madvise(place[0], capacity & (0 - HUGE_PAGE), cast(I32, POOL.huge_advice))
    POOL.fresh_blocks += 1
    return place[0]


@native
def pool_take(capacity: I64) -> Ptr:
    """A block of a capacity that pool_capacity gave; NULL where memory is out."""
    index = pool_class(capacity)
    block: Pointer[Ptr] = POOL.heads[index]
    if block is not None:
        POOL.heads[index] = block[0]
        POOL.held_bytes -= capacity
        POOL.held_blocks -= 1
    else:
        block = pool_fresh(capacity)
        if block is None:
            return None
    POOL.used_bytes += capacity
    POOL.used_blocks += 1
    return block


@native
def pool_give(address: Ptr, capacity: I64) -> None:
    """Return a block."""
    block: Pointer[Ptr] = address
    POOL.used_bytes -= capacity
    POOL.used_blocks -= 1
    if POOL.held_bytes + capacity > POOL.limit:
        free(block)
        return
    index = pool_class(capacity)
    block[0] = POOL.heads[index]
    POOL.heads[index] = block
    POOL.held_bytes += capacity
    POOL.held_blocks += 1


@native
def pool_trim(limit: I64) -> None:
    """Free unused blocks, the largest first, until no more than `limit` bytes are held."""
    for step in range(CLASSES):
        index = CLASSES - 1 - step
        capacity = (5 + (index & 3)) << ((index >> 2) - 2 if index > 7 else 0)
        while POOL.held_bytes > limit and POOL.heads[index] is not None:
            block = POOL.heads[index]
            POOL.heads[index] = cast(Pointer[Ptr], block[0])
            POOL.held_bytes -= capacity
            POOL.held_blocks -= 1
            free(block)
