"""Sorting rows: stable, by keys that are unsigned integers in the order of the elements.

An element and its place become a word of 64 bits, the key above the place; 64-bit elements with
places become two words. Short rows are sorted by insertion, others by counting digits of eight
bits, the lowest first (Knuth, The Art of Computer Programming, 5.2.5); a digit that all keys share
costs nothing. Few of many are kept sorted while the row is read; of more, the last one's key is
found by its digits, the highest first, and only what comes before it is sorted. Rows are shared out
to the threads.

This is translated once for each kind of elements that programs sort (weftrt.cpu.sorts), with
constants of its own.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import below, cast, record, stack
from weftrt.cpu.native.types import I32, I64, U8, Bool, Pointer, Ptr, Struct, extern, native
from weftrt.orders import ASCENDING, LARGEST, PLACES, VALUES

ITEMSIZE, IS_FLOAT, HAS_PLACES = 4, True, True
"""What is sorted, and whether the places of elements come along: what a translation sets."""

SHORT = 64
"""Rows of as many elements are sorted by insertion."""
FEW = 32
"""As many of a row are kept while it is read."""
PIECE_NANOSECONDS, ELEMENT_NANOSECONDS = 20_000, 20
"""What a piece of parallel work takes at least, and an element about."""
PART = 1 << 20
"""So many elements are gone through before somebody looks for signals: between loops, since to ask
in each turn of one costs a tenth to as much as all the rest."""
DIGIT_BITS, RADIX, DIGIT_MASK = 8, 256, 255
HALF, LOW_HALF = 32, 0xFFFFFFFF

malloc = extern("ptr malloc(i64)")
free = extern("void free(ptr)")
weft_parallel = extern("void weft_parallel(ptr, ptr, i64, i64)")
weft_interrupted = extern("i1 weft_interrupted()")


class Rows(Struct):
    """What to sort: rows of `length` elements, of which the first `kept` in order are written, as
    values, as their places, or both. A key is the bits of an integer, or the ordered bits of a
    float, but for those in `flipped`; that of a NaN is `nan_key`."""

    source: Ptr
    values: Ptr
    places: Pointer[I64]
    length: I64
    kept: I64
    flipped: I64
    nan_key: I64
    failed: I64


@native
def part_end(begin: I64, length: I64) -> I64:
    """Where a part of a loop that begins there ends."""
    return begin + PART if length - begin > PART else length


@native
def gives_up(length: I64) -> Bool:
    """Whether a loop over so many elements may have been left early."""
    return length > PART and weft_interrupted()


@native
def goes_on(begin: I64) -> Bool:
    """Whether to begin another part, and not to end the program, which then reads no result."""
    return begin == 0 or not weft_interrupted()


@native
def width() -> I64:
    """Words of an element."""
    return 2 if HAS_PLACES and ITEMSIZE == 8 else 1


@native
def key_shift() -> I64:
    """The bit of a word where the key begins."""
    return HALF if ITEMSIZE < 8 else 0


@native
def load_bits(address: Ptr, index: I64) -> I64:
    """The bits of an element."""
    if ITEMSIZE == 8:
        return cast(Pointer[I64], address)[index]
    if ITEMSIZE == 4:
        return cast(I64, cast(Pointer[I32], address)[index]) & LOW_HALF
    return cast(I64, cast(Pointer[U8], address)[index])


@native
def store_bits(address: Ptr, index: I64, bits: I64) -> None:
    """Write the bits of an element."""
    if ITEMSIZE == 8:
        cast(Pointer[I64], address)[index] = bits
    elif ITEMSIZE == 4:
        cast(Pointer[I32], address)[index] = cast(I32, bits)
    else:
        cast(Pointer[U8], address)[index] = cast(U8, bits)


@native
def all_bits() -> I64:
    """An element of ones."""
    return -1 if ITEMSIZE == 8 else (1 << ITEMSIZE * 8) - 1


@native
def sign_bit() -> I64:
    """The highest bit of an element."""
    return 1 << ITEMSIZE * 8 - 1


@native
def infinity() -> I64:
    """The bits of the float infinity; without its sign, a NaN is greater."""
    return 0x7FF0000000000000 if ITEMSIZE == 8 else 0x7F800000


@native
def ordered(bits: I64) -> I64:
    """The bits of a float as an unsigned integer in the order of floats."""
    return bits ^ (all_bits() if (bits & sign_bit()) != 0 else sign_bit())


@native
def key_of(rows: Rows, bits: I64) -> I64:
    """The key of an element: smaller, unsigned, for what comes earlier."""
    if not IS_FLOAT:
        return bits ^ rows.flipped
    if (bits & ~sign_bit() & all_bits()) > infinity():
        return rows.nan_key
    return ordered(bits) ^ rows.flipped


@native
def row_key(rows: Rows, row: I64, place: I64) -> I64:
    """The key of the element at a place in a row."""
    return key_of(rows, load_bits(rows.source, row * rows.length + place))


@native
def bits_of(rows: Rows, key: I64) -> I64:
    """The element of a key; some NaN for that of a NaN."""
    bits = key ^ rows.flipped
    if not IS_FLOAT:
        return bits
    return bits ^ (sign_bit() if (bits & sign_bit()) != 0 else all_bits())


@native
def write_element(words: Pointer[I64], index: I64, key: I64, place: I64) -> None:
    """words[index] = the key and the place of an element."""
    words[index * width()] = key << HALF | place if ITEMSIZE < 8 else key
    if width() == 2:
        words[index * 2 + 1] = place


@native
def read_place(words: Pointer[I64], index: I64) -> I64:
    """The place of an element."""
    return words[index * 2 + 1] if width() == 2 else words[index] & LOW_HALF


@native
def move(source: Pointer[I64], i: I64, target: Pointer[I64], j: I64) -> None:
    """target[j] = source[i]."""
    target[j * width()] = source[i * width()]
    if width() == 2:
        target[j * 2 + 1] = source[i * 2 + 1]


@native
def insert(words: Pointer[I64], place: I64) -> None:
    """Move an element forward to where it belongs among those in order before it."""
    held = stack(I64, 2)
    move(words, place, held, 0)
    while place > 0 and below(held[0], words[(place - 1) * width()]):
        move(words, place - 1, words, place)
        place -= 1
    move(held, 0, words, place)


@native
def insertion_sort(words: Pointer[I64], length: I64) -> None:
    """Sort in place."""
    for index in range(1, length):
        insert(words, index)


@native
def count_digits(words: Pointer[I64], length: I64, counts: Pointer[I64]) -> None:
    """How often each digit has each value: RADIX counts a digit, the lowest first."""
    for place in range(ITEMSIZE * RADIX):
        counts[place] = 0
    begin = 0
    while begin < length and goes_on(begin):
        end = part_end(begin, length)
        for index in range(begin, end):
            word = words[index * width()] >> key_shift()
            for digit in range(ITEMSIZE):
                place = digit * RADIX + (word & DIGIT_MASK)
                counts[place] += 1
                word = word >> DIGIT_BITS
        begin = end


@native
def distribute(
    source: Pointer[I64], target: Pointer[I64], length: I64, shift: I64, counts: Pointer[I64]
) -> Bool:
    """Move the elements into the order of one digit; False, and nothing, if all share it."""
    total = 0
    for value in range(RADIX):
        count = counts[value]
        if count == length:
            return False
        counts[value] = total
        total += count
    begin = 0
    while begin < length and goes_on(begin):
        end = part_end(begin, length)
        for index in range(begin, end):
            value = (source[index * width()] >> shift) & DIGIT_MASK
            place = counts[value]
            counts[value] = place + 1
            move(source, index, target, place)
        begin = end
    return True


@native
def radix_sort(words: Pointer[I64], spare: Pointer[I64], length: I64) -> Pointer[I64]:
    """Sort by all digits; whichever of the two holds the result."""
    counts = stack(I64, ITEMSIZE * RADIX)
    count_digits(words, length, counts)
    for digit in range(ITEMSIZE):
        if gives_up(length):
            break
        shift = key_shift() + digit * DIGIT_BITS
        if distribute(words, spare, length, shift, counts + digit * RADIX):
            other = words
            words = spare
            spare = other
    return words


@native
def count_prefixed(
    words: Pointer[I64], length: I64, prefix: I64, shift: I64, counts: Pointer[I64]
) -> None:
    """How often a digit has each value among the words that begin with a prefix."""
    for value in range(RADIX):
        counts[value] = 0
    begin = 0
    while begin < length and goes_on(begin):
        end = part_end(begin, length)
        for index in range(begin, end):
            rest = (words[index * width()] ^ prefix) >> shift
            if below(rest, RADIX):
                counts[rest] += 1
        begin = end


@native
def kth_key(words: Pointer[I64], length: I64, rank: Pointer[I64]) -> I64:
    """The key of the last of the `rank` first elements in order; `rank` becomes how many elements
    with this key are among them."""
    counts = stack(I64, RADIX)
    prefix = 0
    shift = key_shift() + ITEMSIZE * DIGIT_BITS
    while shift > key_shift():
        shift -= DIGIT_BITS
        count_prefixed(words, length, prefix, shift, counts)
        if gives_up(length):
            break
        value = 0
        while counts[value] < rank[0]:
            rank[0] -= counts[value]
            value += 1
        prefix = prefix | (value << shift)
    return prefix >> key_shift()


@native
def select(words: Pointer[I64], length: I64, kept: I64) -> None:
    """Move the `kept` first elements in order to the front, not yet sorted."""
    equal = stack(I64, 1)
    equal[0] = kept
    last = kth_key(words, length, equal)
    place = 0
    begin = 0
    while begin < length and goes_on(begin):
        end = part_end(begin, length)
        for index in range(begin, end):
            key = words[index * width()] >> key_shift()
            if below(key, last) or (key == last and equal[0] > 0):
                equal[0] -= 1 if key == last else 0
                move(words, index, words, place)
                place += 1
        begin = end


@native
def sort_few(rows: Rows, row: I64, words: Pointer[I64]) -> None:
    """The first elements of a row in order, by insertion while it is read."""
    begin = 0
    while begin < rows.length and goes_on(begin):
        end = part_end(begin, rows.length)
        for place in range(begin, end):
            key = row_key(rows, row, place)
            if place < rows.kept:
                write_element(words, place, key, place)
                insert(words, place)
            elif below(key, words[(rows.kept - 1) * width()] >> key_shift()):
                write_element(words, rows.kept - 1, key, place)
                insert(words, rows.kept - 1)
        begin = end


@native
def fill(rows: Rows, row: I64, words: Pointer[I64]) -> None:
    """Write the elements of a row."""
    begin = 0
    while begin < rows.length and goes_on(begin):
        end = part_end(begin, rows.length)
        for place in range(begin, end):
            write_element(words, place, row_key(rows, row, place), place)
        begin = end


@native
def sort_many(rows: Rows, row: I64, words: Pointer[I64]) -> Pointer[I64]:
    """The first elements of a row in order, in memory for twice the row."""
    fill(rows, row, words)
    if gives_up(rows.length):
        return words
    if rows.kept < rows.length:
        select(words, rows.length, rows.kept)
    if rows.kept > SHORT:
        return radix_sort(words, words + rows.length * width(), rows.kept)
    insertion_sort(words, rows.kept)
    return words


@native
def write_row(rows: Rows, row: I64, words: Pointer[I64]) -> None:
    """Write the results of a row."""
    base = row * rows.kept
    begin = 0
    while begin < rows.kept and goes_on(begin):
        end = part_end(begin, rows.kept)
        for index in range(begin, end):
            if rows.values is not None:
                key = words[index * width()] >> key_shift()
                store_bits(rows.values, base + index, bits_of(rows, key))
            if HAS_PLACES and rows.places is not None:
                rows.places[base + index] = read_place(words, index)
        begin = end


@native
def sort_rows(rows: Rows, begin: I64, end: I64) -> None:
    """Sort some rows, one after the other, in memory of this thread's own."""
    few = rows.kept <= FEW
    needed = rows.kept if few else rows.length * 2
    words: Pointer[I64] = malloc(needed * width() * 8)
    if words is None:
        rows.failed = 1
        return
    for row in range(begin, end):
        ordered = words
        if few:
            sort_few(rows, row, words)
        else:
            ordered = sort_many(rows, row, words)
        if not gives_up(rows.length):
            write_row(rows, row, ordered)
    free(words)


@native
def set_order(rows: Rows, signed: Bool, order: I64) -> None:
    """Say what the keys of elements are."""
    rows.flipped = 0 if order == ASCENDING else all_bits()
    rows.nan_key = 0 if order == LARGEST else all_bits()
    if signed and not IS_FLOAT:
        rows.flipped = rows.flipped ^ sign_bit()


@native
def sort(buffers: Pointer[Ptr], sizes: Pointer[I64], context: Ptr) -> I64:
    """Sort: the source and the wanted results; the number of rows, their length, how many of a row
    are written, which results, whether elements are signed, the order. -1, or 0 where there is no
    memory, or where places in a row so long do not fit half a word."""
    rows = record(Rows)
    rows.source = buffers[0]
    rows.length = sizes[1]
    rows.kept = sizes[2]
    results = sizes[3]
    rows.values = buffers[1] if (results & VALUES) != 0 else None
    places: Ptr = buffers[1 + (results & VALUES)] if (results & PLACES) != 0 else None
    rows.places = places
    set_order(rows, sizes[4] != 0, sizes[5])
    rows.failed = 1 if ITEMSIZE < 8 and rows.length >> HALF != 0 else 0
    if rows.kept > 0 and rows.failed == 0:
        grain = PIECE_NANOSECONDS // (rows.length * ELEMENT_NANOSECONDS)
        weft_parallel(sort_rows, rows, sizes[0], grain if grain > 1 else 1)
    return -1 if rows.failed == 0 else 0
