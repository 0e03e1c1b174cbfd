"""Calls a LAPACK function for each matrix of a stack.

What its arguments are is data (weftrt.lapack.Function), so this is one routine for all of them.
Matrices by rows become matrices by columns in scratch memory, and back, in tiles.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import address_of, cast, invoke, record, stack
from weftrt.cpu.native.types import (
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    Records,
    Struct,
    extern,
    inline,
    native,
)
from weftrt.lapack import MOST_ARGUMENTS, Kind, Part

LETTER, SIZE, LEADING = Kind.LETTER.value, Kind.SIZE.value, Kind.LEADING.value
MATRIX, GIVEN, PIVOTS = Kind.MATRIX.value, Kind.GIVEN.value, Kind.PIVOTS.value
STATUS, WORK, FLOAT = Kind.STATUS.value, Kind.WORK.value, Kind.FLOAT.value
REVERSED = Kind.REVERSED.value
LOWER, UPPER = Part.LOWER.value, Part.UPPER.value
MOST = MOST_ARGUMENTS
TILE = 8
"""Rows and columns that are transposed together: a cache line of doubles in each direction. More
lines, which are a power of two apart in many matrices, would push each other out of the cache."""
ONE_64, ONE_32 = 0x3FF0000000000000, 0x3F800000
"""The bits of 1.0."""
EXPONENT_64, EXPONENT_32 = 0x7FF0000000000000, 0x7F800000
"""The bits of the exponent, all of which are ones where a float is not finite."""
NO_MEMORY = -2
"""weftrt.cpu.externs.NO_MEMORY."""

malloc = extern("ptr malloc(i64)")
free = extern("void free(ptr)")
weft_interrupted = extern("i1 weft_interrupted()")


class Argument(Struct):
    """weftrt.lapack.Argument."""

    kind: I64
    read: I64
    written: I64
    rows: I64
    columns: I64
    part: I64
    kept: I64
    needed: I64


class Step(Struct):
    """A function that is called: its address, and which arguments are its own."""

    address: Ptr
    count: I64
    order: Pointer[I64] = inline(16)


class Function(Struct):
    """weftrt.lapack.Function, and the bytes of an integer and of an element."""

    steps: Records[Step]
    step_count: I64
    width: I64
    itemsize: I64
    fails: I64
    finite: I64
    count: I64
    arguments: Records[Argument]


class Call(Struct):
    """A function being called: the buffers and sizes, and for each argument its address, and where
    its integer is if it is one."""

    function: Function
    buffers: Pointer[Ptr]
    sizes: Pointer[I64]
    addresses: Pointer[Ptr]
    integers: Pointer[I64]


@native
def at_least_1(size: I64) -> I64:
    """A size, or 1."""
    return size if size > 1 else 1


@native
def rounded(bytes: I64) -> I64:
    """Bytes up to the next line of the cache."""
    return (bytes + 63) & -64


@native
def extent(call: Call, argument: Argument) -> I64:
    """Elements of a matrix."""
    return call.sizes[argument.rows] * call.sizes[argument.columns]


@native
def is_copied(argument: Argument) -> Bool:
    """Whether LAPACK sees a copy of a matrix."""
    return argument.kind == MATRIX or argument.kind == REVERSED


@native
def room(call: Call, argument: Argument) -> I64:
    """Bytes of scratch memory that an argument needs."""
    if is_copied(argument):
        return rounded(extent(call, argument) * call.function.itemsize)
    if argument.kind == PIVOTS:
        return rounded(call.sizes[argument.rows] * call.function.width)
    if argument.kind == WORK:
        return rounded(call.sizes[argument.rows] * call.function.itemsize)
    return 0


@native
def all_room(call: Call) -> I64:
    """Bytes of scratch memory for all arguments."""
    total = 64
    for index in range(call.function.count):
        total += room(call, call.function.arguments[index])
    return total


@native
def place(call: Call, index: I64, scratch: Ptr) -> Ptr:
    """Set the address of an argument; where the scratch memory goes on."""
    argument = call.function.arguments[index]
    integer = address_of(call.integers[index])
    call.addresses[index] = integer
    if argument.kind == LETTER:
        call.integers[index] = argument.read
    elif argument.kind == SIZE or argument.kind == FLOAT:
        call.integers[index] = call.sizes[argument.read]
    elif argument.kind == LEADING:
        call.integers[index] = at_least_1(call.sizes[argument.read])
    elif is_copied(argument) or argument.kind == PIVOTS or argument.kind == WORK:
        call.addresses[index] = scratch
    return scratch + room(call, argument)


@native
def place_all(call: Call, scratch: Ptr) -> None:
    """Set the addresses of all arguments."""
    for index in range(call.function.count):
        scratch = place(call, index, scratch)


@native
def move(source: Ptr, i: I64, target: Ptr, j: I64, itemsize: I64) -> None:
    """Copy element i to place j."""
    if itemsize == 8:
        cast(Pointer[I64], target)[j] = cast(Pointer[I64], source)[i]
    else:
        cast(Pointer[I32], target)[j] = cast(Pointer[I32], source)[i]


@native
def least(a: I64, b: I64) -> I64:
    """The smaller one."""
    return a if a < b else b


@native
def transpose_edge(
    source: Ptr, target: Ptr, rows: I64, columns: I64, row: I64, column: I64, itemsize: I64
) -> None:
    """Transpose the tile that begins at a row and column of the source, as far as there is one."""
    for i in range(row, least(row + TILE, rows)):
        for j in range(column, least(column + TILE, columns)):
            move(source, i * columns + j, target, j * rows + i, itemsize)


@native
def transpose_64(source: Pointer[I64], target: Pointer[I64], rows: I64, columns: I64) -> None:
    """Transpose a whole tile of float64."""
    for j in range(TILE):
        for i in range(TILE):
            target[j * rows + i] = source[i * columns + j]


@native
def transpose_32(source: Pointer[I32], target: Pointer[I32], rows: I64, columns: I64) -> None:
    """Transpose a whole tile of float32."""
    for j in range(TILE):
        for i in range(TILE):
            target[j * rows + i] = source[i * columns + j]


@native
def transpose_tile(
    source: Ptr, target: Ptr, rows: I64, columns: I64, row: I64, column: I64, itemsize: I64
) -> None:
    """Transpose the tile that begins at a row and column of the source."""
    if row + TILE > rows or column + TILE > columns:
        transpose_edge(source, target, rows, columns, row, column, itemsize)
        return
    first = cast(Ptr, cast(I64, source) + (row * columns + column) * itemsize)
    other = cast(Ptr, cast(I64, target) + (column * rows + row) * itemsize)
    if itemsize == 8:
        transpose_64(cast(Pointer[I64], first), cast(Pointer[I64], other), rows, columns)
    else:
        transpose_32(cast(Pointer[I32], first), cast(Pointer[I32], other), rows, columns)


@native
def transpose(source: Ptr, target: Ptr, rows: I64, columns: I64, part: I64, itemsize: I64) -> None:
    """target[j, i] = source[i, j], for a source of rows x columns: of tiles that are not wholly out
    of a part of the source."""
    row = 0
    while row < rows:
        column = 0
        if part == UPPER:
            column = row
        end = columns
        if part == LOWER:
            end = least(row + TILE, columns)
        while column < end:
            transpose_tile(source, target, rows, columns, row, column, itemsize)
            column += TILE
        row += TILE


@native
def clear(matrix: Ptr, begin: I64, end: I64, itemsize: I64) -> None:
    """Write zeros to elements."""
    for index in range(begin, end):
        if itemsize == 8:
            cast(Pointer[I64], matrix)[index] = 0
        else:
            cast(Pointer[I32], matrix)[index] = 0


@native
def keep_part(matrix: Ptr, rows: I64, columns: I64, part: I64, itemsize: I64) -> None:
    """Write zeros to what is not in a triangle of a matrix by rows."""
    for row in range(rows):
        base = row * columns
        if part == LOWER:
            clear(matrix, base + least(row + 1, columns), base + columns, itemsize)
        elif part == UPPER:
            clear(matrix, base, base + least(row, columns), itemsize)


@native
def reverse_triangle(
    source: Ptr, i: I64, i_step: I64, target: Ptr, j: I64, j_step: I64, n: I64, itemsize: I64
) -> None:
    """Copy a lower triangle, its elements in reverse order: row after row, which begin at i in the
    source and at j in the target."""
    for row in range(n):
        for column in range(row + 1):
            move(source, i + column, target, j + row - column, itemsize)
        i += i_step
        j += j_step


@native
def mirror(matrix: Ptr, n: I64, itemsize: I64) -> None:
    """Copy what is below the diagonal to the other side, in tiles."""
    row = 0
    while row < n:
        column = 0
        while column <= row:
            for i in range(row, least(row + TILE, n)):
                for j in range(column, least(column + TILE, i)):
                    move(matrix, i * n + j, matrix, j * n + i, itemsize)
            column += TILE
        row += TILE


@native
def matrix_at(call: Call, buffer: I64, argument: Argument, number: I64) -> Ptr:
    """Where matrix `number` of a buffer begins."""
    return call.buffers[buffer] + number * extent(call, argument) * call.function.itemsize


@native
def set_identity(matrix: Ptr, rows: I64, columns: I64, itemsize: I64) -> None:
    """Make a matrix by columns the identity, as far as it goes."""
    clear(matrix, 0, rows * columns, itemsize)
    for index in range(least(rows, columns)):
        if itemsize == 8:
            cast(Pointer[I64], matrix)[index * (rows + 1)] = ONE_64
        else:
            cast(Pointer[I32], matrix)[index * (rows + 1)] = ONE_32


@native
def load_matrix(call: Call, index: I64, number: I64) -> None:
    """Write what LAPACK reads of a matrix."""
    argument = call.function.arguments[index]
    rows = call.sizes[argument.rows]
    columns = call.sizes[argument.columns]
    if argument.read < 0:
        set_identity(call.addresses[index], rows, columns, call.function.itemsize)
    else:
        source = matrix_at(call, argument.read, argument, number)
        itemsize = call.function.itemsize
        transpose(source, call.addresses[index], rows, columns, argument.needed, itemsize)


@native
def load(call: Call, index: I64, number: I64) -> None:
    """Give LAPACK matrix `number` of an argument."""
    argument = call.function.arguments[index]
    if argument.kind == GIVEN:
        call.addresses[index] = matrix_at(call, argument.read, argument, number)
    elif argument.kind == STATUS:
        call.integers[index] = 0
    elif argument.kind == MATRIX:
        load_matrix(call, index, number)
    elif argument.kind == REVERSED:
        source = matrix_at(call, argument.read, argument, number)
        n = call.sizes[argument.rows]
        target = call.addresses[index]
        itemsize = call.function.itemsize
        clear(target, 0, n * n, itemsize)
        reverse_triangle(source, 0, n, target, n * n - 1, -n - 1, n, itemsize)


@native
def store_matrix(call: Call, index: I64, number: I64) -> None:
    """Write what LAPACK left in a matrix."""
    argument = call.function.arguments[index]
    itemsize = call.function.itemsize
    rows = call.sizes[argument.rows]
    columns = call.sizes[argument.columns]
    target = matrix_at(call, argument.written, argument, number)
    other = argument.part  # of the transpose
    if other != 0:
        other = LOWER + UPPER - other
    transpose(call.addresses[index], target, columns, rows, other, itemsize)
    keep_part(target, rows, columns, argument.part, itemsize)
    if argument.kept != 0:
        clear(target, call.sizes[argument.kept] * columns, rows * columns, itemsize)


@native
def integer_at(call: Call, address: Ptr, index: I64) -> I64:
    """An integer of LAPACK's."""
    if call.function.width == 8:
        return cast(Pointer[I64], address)[index]
    return cast(I64, cast(Pointer[I32], address)[index])


@native
def store_pivots(call: Call, index: I64, number: I64) -> None:
    """Write pivots, from 0, and the permutation of rows that exchanging them makes."""
    argument = call.function.arguments[index]
    count = call.sizes[argument.rows]
    length = call.sizes[argument.columns]
    places = cast(Pointer[I64], call.buffers[argument.written]) + number * count
    permutation = cast(Pointer[I64], call.buffers[argument.written + 1]) + number * length
    for row in range(length):
        permutation[row] = row
    for row in range(count):
        other = integer_at(call, call.addresses[index], row) - 1
        places[row] = other
        held = permutation[row]
        permutation[row] = permutation[other]
        permutation[other] = held


@native
def store(call: Call, index: I64, number: I64) -> None:
    """Write what LAPACK left in an argument."""
    argument = call.function.arguments[index]
    if argument.written >= 0:
        if argument.kind == MATRIX:
            store_matrix(call, index, number)
        elif argument.kind == REVERSED:
            target = matrix_at(call, argument.written, argument, number)
            n = call.sizes[argument.rows]
            source = call.addresses[index]
            itemsize = call.function.itemsize
            reverse_triangle(source, n * n - 1, -n - 1, target, 0, n, n, itemsize)
            mirror(target, n, itemsize)
        elif argument.kind == PIVOTS:
            store_pivots(call, index, number)


@native
def invoke_all(function: Ptr, a: Pointer[Ptr]) -> None:
    """Call with MOST arguments; a callee that takes fewer does not look at the others."""
    invoke(
        None,
        function,
        a[0],
        a[1],
        a[2],
        a[3],
        a[4],
        a[5],
        a[6],
        a[7],
        a[8],
        a[9],
        a[10],
        a[11],
        a[12],
        a[13],
        a[14],
        a[15],
    )


@native
def invoke_step(call: Call, step: Step) -> None:
    """Call a function with its arguments; the rest are the integer 1."""
    given = stack(Ptr, MOST)
    for index in range(MOST):
        given[index] = cast(Ptr, 1)
    for index in range(step.count):
        given[index] = call.addresses[step.order[index]]
    invoke_all(step.address, given)


@native
def has_failed(call: Call) -> Bool:
    """Whether the status says that the function failed."""
    for index in range(call.function.count):
        if call.function.arguments[index].kind == STATUS:
            return integer_at(call, call.addresses[index], 0) != 0 and call.function.fails != 0
    return False


@native
def is_finite(bits: I64, itemsize: I64) -> Bool:
    """Whether the bits of a float are those of a finite number."""
    if itemsize == 8:
        return bits & EXPONENT_64 != EXPONENT_64
    return bits & EXPONENT_32 != EXPONENT_32


@native
def are_finite(matrix: Ptr, count: I64, itemsize: I64) -> Bool:
    """Whether so many elements are finite."""
    for index in range(count):
        if itemsize == 8:
            bits = cast(Pointer[I64], matrix)[index]
        else:
            bits = cast(I64, cast(Pointer[I32], matrix)[index])
        if not is_finite(bits, itemsize):
            return False
    return True


@native
def is_refused(call: Call) -> Bool:
    """Whether matrices that were loaded are not finite, as the function wants them to be."""
    for index in range(call.function.count):
        argument = call.function.arguments[index]
        if argument.kind == MATRIX and argument.read >= 0:
            count = extent(call, argument)
            if not are_finite(call.addresses[index], count, call.function.itemsize):
                return True
    return False


@native
def call_one(call: Call, number: I64) -> Bool:
    """Call the function for a matrix; False where it fails."""
    for index in range(call.function.count):
        load(call, index, number)
    if call.function.finite != 0 and is_refused(call):
        return False
    for index in range(call.function.step_count):
        invoke_step(call, call.function.steps[index])
        if has_failed(call):
            return False
    for index in range(call.function.count):
        store(call, index, number)
    return True


@native
def call_each(call: Call) -> I64:
    """Call the function for each matrix; the first for which it fails, else -1."""
    for number in range(call.sizes[0]):
        if not call_one(call, number):
            return number
        if weft_interrupted():
            return -1
    return -1


@native
def call_lapack(buffers: Pointer[Ptr], sizes: Pointer[I64], context: Ptr) -> I64:
    """Call the Function at `context`: sizes[0] is the number of matrices. The first for which it
    fails, NO_MEMORY, or -1."""
    call = record(Call)
    call.function = cast(Function, context)
    call.buffers = buffers
    call.sizes = sizes
    call.addresses = stack(Ptr, MOST)
    call.integers = stack(I64, MOST)
    scratch: Ptr = malloc(all_room(call))
    if scratch is None:
        return NO_MEMORY
    place_all(call, cast(Ptr, rounded(cast(I64, scratch))))
    failed = call_each(call)
    free(scratch)
    return failed
