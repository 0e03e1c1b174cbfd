"""Small programs that show a wrong rewrite."""

from __future__ import annotations

from tests.compiler.schedule.kernels import Inputs
from tests.compiler.schedule.networks import columns, full, matmul, op, rows, softmax

from weftc.ir.node import Node
from weftc.ir.sizes import Dim
from weftc.ops import build
from weftc.ops.parts import deinterleave
from weftrt import dtypes

N, M = Dim.symbol("n"), Dim.symbol("m")


def exp_sum(x: Inputs) -> Node:
    a = x(20, 100)
    return op("sum", op("exp", a), axes=(1,))


def transposed_twice(x: Inputs) -> Node:
    turned = op("transpose", x(3, 4, 5), permutation=(1, 2, 0))
    return op("transpose", turned, permutation=(1, 0, 2))


def exchanged_parts(x: Inputs) -> Node:
    real, imag = deinterleave(x(6, 2))
    return op("interleave", imag, real)


def conjugated_sum(x: Inputs) -> Node:
    (a, b), (c, d) = deinterleave(x(6, 2)), deinterleave(x(6, 2))
    return op("interleave", op("add", a, c), op("sub", b, d))


def two_slices(x: Inputs) -> tuple[Node, ...]:
    a = x(9)
    first = op("slice", a, start=(0,), stop=(4,), step=(1,))
    return first, op("slice", a, start=(3,), stop=(7,), step=(1,))


def converted(x: Inputs) -> Node:
    return build.convert(build.convert(x(40, dtype=dtypes.int64), dtypes.int32), dtypes.int64)


def known_condition(x: Inputs) -> Node:
    true = build.expand(build.constant(True, dtypes.bool_), (9,), ())
    return op("where", true, x(9), x(9))


def known_truth(x: Inputs) -> Node:
    true = build.expand(build.constant(True, dtypes.bool_), (9,), ())
    return op("bitwise_and", op("lt", x(9), x(9)), true)


def padded_pieces(x: Inputs) -> Node:
    pieces = [(x(4), 6, 0), (x(2), 1, 7), (x(3), 3, 4)]
    zero = build.zero(dtypes.float32)
    padded = [
        op("pad", piece, zero, low=(low,), high=(high,), interior=(0,))
        for piece, low, high in pieces
    ]
    return op("add", op("add", padded[0], padded[1]), padded[2])


def folded(x: Inputs) -> Node:
    two, three = build.constant(2.0, dtypes.float32), build.constant(3.0, dtypes.float32)
    return op("mul", x(9), build.expand(op("sub", two, three), (9,), ()))


def chain(x: Inputs) -> Node:
    return matmul(op("exp", matmul(x(6, 5), x(5, 7))), x(7, 4))


def long_chain(x: Inputs) -> Node:
    a, w = x(20, 16), x(16, 16)
    for _ in range(4):
        a = op("tanh", matmul(a, w))
    return a


def two_frames(x: Inputs) -> tuple[Node, ...]:
    a = x(8, 4, 6)
    shifted = op("sub", a, columns(op("max", a, axes=(2,)), a))
    return shifted, op("sum", shifted, axes=(1, 2))


def row_value_elsewhere(x: Inputs) -> tuple[Node, ...]:
    a = x(8, 40)
    total = op("sum", a, axes=(1,))
    return op("exp", a), op("add", build.expand(total, (8, 3), (0,)), x(8, 3))


def reshaped_transpose(x: Inputs) -> Node:
    turned = op("transpose", x(4, 5, 4), permutation=(0, 2, 1))
    return op("exp", op("reshape", turned, shape=(80,)))


def padded_concat(x: Inputs) -> Node:
    zero = build.constant(0.5, dtypes.float32)
    joined = op("concat", x(5, 4), x(3, 4), axis=0)
    return op("pad", joined, zero, low=(1, 2), high=(2, 0), interior=(0, 1))


def padded_by_one(x: Inputs) -> Node:
    zero = build.constant(0.5, dtypes.float32)
    return op("pad", x(6), zero, low=(1,), high=(1,), interior=(0,))


def slid(x: Inputs) -> Node:
    steps = {"sizes": (3, 2), "strides": (2, 1), "dilation": (1, 2)}
    return op("neg", op("window", x(9, 5), axes=(0, 1), **steps))


def slid_product(x: Inputs) -> Node:
    """A convolution of a few images, and one corner of it."""
    steps = {"sizes": (3, 3), "strides": (1, 1), "dilation": (1, 1)}
    zero, around = build.constant(0.0, dtypes.float32), (0, 0, 1, 1)
    padded = op("pad", x(2, 2, 7, 10), zero, low=around, high=around, interior=(0,) * 4)
    windows = op("window", padded, axes=(2, 3), **steps)
    pairs = {"batch": ((), ()), "contracted": ((1, 2, 3), (1, 4, 5))}
    found = op("contract", x(3, 2, 3, 3), windows, **pairs)
    found = op("transpose", found, permutation=(1, 0, 2, 3))
    return op("slice", found, start=(0, 1, 1, 0), stop=(2, 3, 7, 10), step=(1, 1, 1, 1))


def slid_depthwise(x: Inputs) -> Node:
    """Each channel of a few images with its own taps."""
    steps = {"sizes": (3, 2), "strides": (1, 1), "dilation": (1, 1)}
    windows = op("window", x(2, 3, 5, 5), axes=(2, 3), **steps)
    pairs = {"batch": ((0,), (1,)), "contracted": ((1, 2), (4, 5))}
    found = op("contract", x(3, 3, 2), windows, **pairs)
    return op("transpose", found, permutation=(1, 0, 3, 2))


def flipped(x: Inputs) -> Node:
    return op("flip", x(5, 7), axes=(1,))


def permuted(x: Inputs) -> Node:
    return op("neg", op("transpose", x(3, 4, 5), permutation=(1, 2, 0)))


def strides(x: Inputs) -> Node:
    return op("slice", x(20, 6), start=(1, 0), stop=(20, 6), step=(3, 1))


def inside_and_outside(x: Inputs) -> Node:
    a = x(6)
    joined = op("concat", op("reshape", a, shape=(1, 6)), x(2, 6), axis=0)
    return op("add", joined, rows(a, 3))


def stacked(x: Inputs) -> Node:
    a = x(3)
    parts = [op("slice", a, start=(k,), stop=(k + 1,), step=(1,)) for k in range(3)]
    single = [op("reshape", part, shape=()) for part in parts]
    scaled = [op("mul", s, build.constant(k + 2.0, dtypes.float32)) for k, s in enumerate(single)]
    return op("neg", op("concat", *(op("reshape", s, shape=(1,)) for s in scaled), axis=0))


def gather(x: Inputs) -> Node:
    return op("take", op("exp", x(7, 3)), x(9, dtype=dtypes.int64), axis=0)


def reversed_axes(x: Inputs) -> Node:
    return op("neg", op("transpose", x(3, 4, 5), permutation=(2, 1, 0)))


def turned_rows(x: Inputs) -> Node:
    turned = op("transpose", x(3, 4, 5, 6), permutation=(3, 1, 0, 2))
    return op("sum", turned, axes=(1, 2, 3))


def rows_and_columns(x: Inputs) -> Node:
    return op("add", x(4, 4, 6), build.expand(x(6), (4, 4, 6), (2,)))


def counted(x: Inputs) -> Node:
    return op("add", x(4, 5), op("iota", shape=(4, 5), axis=1, dtype=dtypes.float32))


def column_sum(x: Inputs) -> Node:
    return op("sum", x(N, 40), axes=(0,))


def any_columns(x: Inputs) -> Node:
    return op("sum", x(600, N), axes=(0,))


def scaled_sums(x: Inputs) -> Node:
    a = x(40, 30)
    return op("sum", op("mul", a, rows(op("sum", a, axes=(0,)), 40)), axes=(0,))


def sums_of_one(x: Inputs) -> tuple[Node, ...]:
    a = x(20, 1, 6)
    return op("sum", a, axes=(0,)), op("sum", a, axes=(0, 1))


def range_of_all(x: Inputs) -> tuple[Node, ...]:
    a = x(N, 40)
    return op("min", a, axes=(0, 1)), op("max", a, axes=(0, 1))


def columns_of_a_batch(x: Inputs) -> Node:
    axes = {"batch": ((1,), (0,)), "contracted": ((2,), (1,))}
    return op("contract", x(4, 4, 6), x(4, 6), **axes, column_sum=True)


def broadcast_sum(x: Inputs) -> tuple[Node, ...]:
    total = op("sum", x(9, 4), axes=(0,))
    return total, op("reshape", build.expand(total, (3, 4), (1,)), shape=(3, 1, 4))


def softmax_of_rows(x: Inputs) -> Node:
    return softmax(x(5, 70))


def normal(x: Inputs) -> Node:
    return softmax(x(N, M))


def scattered(x: Inputs) -> Node:
    return op("scatter_add", x(7, 20), x(9, dtype=dtypes.int64), x(9, 20), axis=0)


def scattered_by_row(x: Inputs) -> Node:
    return op("scatter_add", x(3, 7), x(3, 9, dtype=dtypes.int64), x(3, 9), axis=1, batch=1)


def running_rows(x: Inputs) -> Node:
    return op("cumulate", x(6, 300), axis=1, kind="sum", reverse=False)


def running_pieces(x: Inputs) -> tuple[Node, ...]:
    found = op("cumulate", op("exp", x(2, 300)), axis=1, kind="sum", reverse=True)
    return found, op("neg", found)


def running_columns(x: Inputs) -> Node:
    return op("cumulate", x(40, 70), axis=0, kind="max", reverse=True)


def linear(x: Inputs) -> Node:
    return op("neg", matmul(x(7, 9), x(9, 21)))


def symbolic_linear(x: Inputs) -> Node:
    return op("exp", matmul(x(N, 9), x(9, 21)))


def packed(x: Inputs) -> Node:
    return matmul(x(7, 9), op("transpose", x(21, 9), permutation=(1, 0)))


def narrow_rests(x: Inputs) -> tuple[Node, ...]:
    """Products whose last panels are narrower: with vectors of 8, and with those of 16."""
    return matmul(x(42, 300), x(300, 40)), matmul(x(70, 64), x(64, 112))


def segments(x: Inputs) -> Node:
    return matmul(x(1, 1028), x(1028, 2))


def extremes(x: Inputs) -> tuple[Node, ...]:
    negative = op("neg", op("exp", x(3, 70)))
    return op("max", negative, axes=(1,)), op("min", negative, axes=(1,))


def tail(x: Inputs) -> Node:
    return op("mul", x(N), x(N))


def chosen(x: Inputs) -> Node:
    a = x(N)
    return op("where", op("lt", a, full(0.0, (N,))), op("exp", a), op("neg", a))


def differences(x: Inputs) -> tuple[Node, ...]:
    a, b = x(37), x(37)
    return op("sub", a, b), op("add", a, b), op("sub", b, a)


def zeros(x: Inputs) -> tuple[Node, ...]:
    a = x(37)
    return op("add", a, full(0.0, (37,))), op("mul", a, full(-0.0, (37,)))


def kept_masks(x: Inputs) -> Node:
    return op("where", x(37, dtype=dtypes.bool_), x(37), x(37))


def two_outputs(x: Inputs) -> tuple[Node, ...]:
    a = x(9)
    return op("exp", a), op("neg", a)


def symbolic_chain(x: Inputs) -> Node:
    """Temporaries of n*m, 20*n and 20*n elements, each read once."""
    a = matmul(matmul(x(N, 5), x(5, M)), x(M, 20))
    return matmul(matmul(a, x(20, 20)), x(20, 3))


def read_again(x: Inputs) -> tuple[Node, ...]:
    """The first kernel reads the input element by element, the second all of it."""
    a = x(20, 20)
    first = op("exp", a)
    return first, matmul(first, a)


def sizes(x: Inputs) -> Node:
    count = build.convert(op("size", size=N * 3 + M), dtypes.float32)
    return op("mul", op("reshape", x(N, M), shape=(N * M,)), build.expand(count, (N * M,), ()))


def two_products(x: Inputs) -> tuple[Node, ...]:
    """The first result is written before the last time that the first input is read."""
    a, b = x(24, 24), x(24, 24)
    first = matmul(op("add", a, b), b)
    return first, matmul(first, a)


def flipped_square(x: Inputs) -> Node:
    a = x(400)
    return op("mul", op("flip", a, axes=(0,)), a)
