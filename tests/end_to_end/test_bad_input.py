"""Bad input of every kind: the error's type, the place in the user's file, what was given and what
was expected; short, and in the user's words."""

from __future__ import annotations

import copy
import enum
import math
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft as wf
from weft.errors import (
    DTypeError,
    IndexingError,
    OutOfBoundsError,
    RangeError,
    ShapeError,
    TraceError,
    UsageError,
    WeftError,
)

X = np.ones((3, 4), "f4")
W = np.ones((3, 2), "f4")
LABELS = np.arange(4)
ROWS = np.arange(2)
BATCH = np.ones((5, 4, 2), "f4")
FILE = Path(__file__).name
INTERNAL = ("frontend/weft", "compiler/weftc", "runtime/weftrt", "Traceback", "_staged", "Tracer")

Function = Callable[..., Any]
Case = tuple[Function, type[Exception], str, tuple[str, ...]]


def check_message(error: BaseException, expression: str, fragments: tuple[str, ...]) -> None:
    text = str(error)
    first, _, rest = text.partition("\n")
    assert f"{FILE}:" in first and expression in first, text
    for fragment in fragments:
        assert fragment in rest, text
    assert len(text.splitlines()) <= 12 and len(text) < 700
    assert not any(word in text for word in INTERNAL), text


def raised(kind: type[Exception], run: Function, *args: Any) -> BaseException:
    with pytest.raises(kind) as caught:
        run(*args)
    assert isinstance(caught.value, WeftError)
    return caught.value


BOTH_SHAPES = ("(3, 4)", "(3, 2)")
NO_AXIS = ("(3, 4)", "there is no axis", "has 2 axes")

# wrong shapes, axes, dtypes and operands: the same words eager and jitted
OPERANDS: list[Case] = [
    (lambda x, w: x + w, ShapeError, "x + w", (*BOTH_SHAPES, "4 and 2 of axis -1", "equal, or")),
    (lambda x, w: wf.subtract(x, w), ShapeError, "wf.subtract(x, w)", BOTH_SHAPES),
    (lambda x, w: wf.maximum(x, w), ShapeError, "wf.maximum(x, w)", BOTH_SHAPES),
    (lambda x, w: x < w, ShapeError, "x < w", BOTH_SHAPES),
    (lambda x, w: wf.where(x > 0, x, w), ShapeError, "wf.where", ("x > 0 has", *BOTH_SHAPES)),
    (lambda x, w: wf.clip(x, w, 1), ShapeError, "wf.clip(x, w, 1)", BOTH_SHAPES),
    (lambda x, w: wf.atan2(x, w), ShapeError, "wf.atan2(x, w)", BOTH_SHAPES),
    (lambda x, w: x.T @ w.T, ShapeError, "x.T @ w.T", ("(4, 3)", "(2, 3)", "must equal")),
    (lambda x, w: x @ w[0, 0], ShapeError, "x @ w[0, 0]", ("(3, 4)", "both must have an axis")),
    (lambda x, w: wf.einsum("ij,jk->ik", x, w), ShapeError, "einsum", ("4 and 3 for j", "(3, 2)")),
    (lambda x, w: wf.einsum("ij,jk", x), UsageError, "einsum", ("names 2 operands, not 1",)),
    (lambda x, w: wf.einsum("i!->i", x), UsageError, "einsum", ("not of letters",)),
    (lambda x, w: wf.einsum("ij->k", x), UsageError, "einsum", ("invents a letter",)),
    (lambda x, w: wf.einsum("ijk->i", x), UsageError, "einsum", ("2 axes",)),
    (lambda x, w: wf.einsum(x, w), UsageError, "wf.einsum(x, w)", ("einsum: ",)),
    (lambda x, w: wf.tensordot(x, w, axes=1), ShapeError, "wf.tensordot", BOTH_SHAPES),
    (lambda x, w: wf.tensordot(x, w, axes=5), ShapeError, "wf.tensordot", ("no 5 axes to sum",)),
    (lambda x, w: wf.outer(x, w), ShapeError, "wf.outer(x, w)", ("both must be 1-d",)),
    (lambda x, w: wf.vecdot(x, w), ShapeError, "wf.vecdot(x, w)", BOTH_SHAPES),
    (lambda x, w: x.reshape(5, 3), ShapeError, "x.reshape(5, 3)", ("(3, 4)", "12", "(5, 3)")),
    (lambda x, w: x.reshape(-1, -1), ShapeError, "x.reshape(-1, -1)", ("only one size",)),
    (lambda x, w: x.reshape(-2, 6), ShapeError, "x.reshape(-2, 6)", ("-2 is negative",)),
    (lambda x, w: x.reshape(2.0, 6), ShapeError, "x.reshape(2.0, 6)", ("integer, not 2.0",)),
    (lambda x, w: x.reshape("ab"), ShapeError, "x.reshape", ("integer, not 'ab'",)),
    (lambda x, w: x.reshape((1,) * 7 + (3, 4)), ShapeError, "x.reshape", ("9 axes", "at most 8")),
    (lambda x, w: wf.zeros((1,) * 9), ShapeError, "wf.zeros", ("9 axes", "at most 8")),
    (lambda x, w: wf.nn.windows(wf.ones((1,) * 7), (1, 1)), ShapeError, "", ("result", "9 axes")),
    (lambda x, w: wf.expand_dims(x, axis=(0, 1, 2, 3, 4, 5, 6)), ShapeError, "wf.", ("9 axes",)),
    (lambda x, w: wf.expand_dims(x, axis=5), ShapeError, "wf.expand_dims", ("result has 3 axes",)),
    (lambda x, w: wf.transpose(x, (0, 0)), ShapeError, "wf.transpose", ("(0, 0) is not an order",)),
    (lambda x, w: wf.permute_dims(x, (1,)), ShapeError, "wf.permute_dims", ("(1,) is not",)),
    (lambda x, w: wf.matrix_transpose(x[0]), ShapeError, "wf.matrix_transpose(x[0])", ("(4,)",)),
    (lambda x, w: wf.broadcast_to(x, (3, 3)), ShapeError, "wf.broadcast_to", ("to (3, 3)",)),
    (lambda x, w: wf.squeeze(x, 0), ShapeError, "wf.squeeze(x, 0)", ("size 3, not 1",)),
    (lambda x, w: wf.flip(x, axis=3), ShapeError, "wf.flip(x, axis=3)", NO_AXIS),
    (lambda x, w: wf.flip(x, axis=1.5), UsageError, "wf.flip", ("integer, not 1.5",)),
    (lambda x, w: wf.concat([x, w[0]]), ShapeError, "wf.concat", ("w[0] has shape (2,)",)),
    (lambda x, w: wf.concat([x, w], axis=4), ShapeError, "wf.concat", NO_AXIS),
    (lambda x, w: wf.concat([]), UsageError, "wf.concat([])", ("at least one array",)),
    (lambda x, w: wf.concat(x), UsageError, "wf.concat(x)", ("tuple or list",)),
    (lambda x, w: wf.stack([x, w]), ShapeError, "wf.stack([x, w])", ("x has shape (3, 4) and w",)),
    (lambda x, w: wf.pad(x, -1), ShapeError, "wf.pad(x, -1)", ("-1 is no count",)),
    (lambda x, w: wf.pad(x, ((1, 1),) * 3), ShapeError, "wf.pad", ("per axis",)),
    (lambda x, w: wf.pad(x, "a"), ShapeError, "wf.pad(x, 'a')", ("'a' is no count",)),
    (lambda x, w: wf.pad(x, 1.5), ShapeError, "wf.pad(x, 1.5)", ("1.5 is no count",)),
    (lambda x, w: wf.sum(x, axis=2), ShapeError, "wf.sum(x, axis=2)", NO_AXIS),
    (lambda x, w: x.sum(-3), ShapeError, "x.sum(-3)", NO_AXIS),
    (lambda x, w: wf.sum(x, axis=(0, 0)), ShapeError, "wf.sum", ("repeated in (0, 0)",)),
    (lambda x, w: wf.mean(x, axis="a"), UsageError, "wf.mean", ("integer, not 'a'",)),
    (lambda x, w: wf.var(x, correction="a"), UsageError, "wf.var", ("number, not 'a'",)),
    (lambda x, w: wf.max(x[:0]), ShapeError, "wf.max(x[:0])", ("no elements",)),
    (lambda x, w: wf.min(x[:, :0], axis=1), ShapeError, "wf.min", ("no elements",)),
    (lambda x, w: wf.argmax(x[:0], axis=0), ShapeError, "wf.argmax", ("no elements",)),
    (lambda x, w: wf.logsumexp(x[:0]), ShapeError, "wf.logsumexp", ("no elements",)),
    (lambda x, w: wf.argmin(x, axis=7), ShapeError, "wf.argmin(x, axis=7)", NO_AXIS),
    (lambda x, w: wf.nn.softmax(x, axis=9), ShapeError, "wf.nn.softmax(x, axis=9)", NO_AXIS),
    (lambda x, w: wf.nn.layer_norm(x, w), ShapeError, "wf.nn.layer_norm(x, w)", BOTH_SHAPES),
    (lambda x, w: wf.nn.cross_entropy(x, w), DTypeError, "cross_entropy(x, w)", ("integers",)),
    (lambda x, w: wf.nn.cross_entropy(x, LABELS), ShapeError, "cross_entropy", ("(3, 4)",)),
    (lambda x, w: wf.nn.cross_entropy(x, ROWS), ShapeError, "cross_entropy", ("shape (2,)",)),
    (lambda x, w: wf.nn.cross_entropy(x, ROWS[:1]), ShapeError, "cross_entropy", ("shape (1,)",)),
    (lambda x, w: wf.nn.gelu(x, approximate="none"), UsageError, "wf.nn.gelu", ("not 'none'",)),
    (lambda x, w: x[[0, 1], None] @ BATCH, ShapeError, "@ BATCH", ("2 and 5 of axis -3",)),
    (lambda x, w: (x > 0).T @ (x > 0), DTypeError, "(x > 0).T @ (x > 0)", ("matmul takes",)),
    (lambda x, w: x + np.timedelta64(5, "ns"), WeftError, "x + np", ("timedelta64",)),
    (lambda x, w: x + np.timedelta64(5, "D"), WeftError, "x + np", ("timedelta64",)),
    (lambda x, w: x < np.datetime64(5, "ns"), WeftError, "x < np", ("datetime64",)),
    (lambda x, w: wf.full(3, np.timedelta64(5, "ns")), UsageError, "wf.full", ("timedelta64",)),
    (lambda x, w: wf.take(x, w, axis=0), DTypeError, "wf.take", ("indices must be integers",)),
    (lambda x, w: wf.take(x, LABELS), ShapeError, "wf.take(x, LABELS)", ("axis is needed",)),
    (lambda x, w: x[x > 0], IndexingError, "x[x > 0]", ("wf.where",)),
    (lambda x, w: x[7], OutOfBoundsError, "x[7]", ("(3, 4)", "index 7", "axis 0 of size 3")),
    (lambda x, w: x[:, -9], OutOfBoundsError, "x[:, -9]", ("index -9", "axis 1 of size 4")),
    (lambda x, w: x[0, 0, 0], IndexingError, "x[0, 0, 0]", ("3 indices for 2 axes",)),
    (lambda x, w: x["a"], IndexingError, "x['a']", ("'a' is not an index",)),
    (lambda x, w: x[1.0], IndexingError, "x[1.0]", ("1.0 is not an index",)),
    (lambda x, w: x[::0], UsageError, "x[::0]", ("step of a slice cannot be 0",)),
    (lambda x, w: x[:w], TraceError, "x[:w]", ("[3",)),
    (lambda x, w: wf.one_hot(x, 3), DTypeError, "wf.one_hot(x, 3)", ("integers, not float32",)),
    (lambda x, w: wf.one_hot(LABELS, -3), ShapeError, "wf.one_hot", ("-3 is negative",)),
    (lambda x, w: wf.one_hot(LABELS, 2.5), ShapeError, "wf.one_hot", ("integer, not 2.5",)),
    (lambda x, w: wf.arange("a"), UsageError, "wf.arange('a')", ("number, not 'a'",)),
    (lambda x, w: wf.arange(0, 5, 0), UsageError, "wf.arange(0, 5, 0)", ("step is zero",)),
    (lambda x, w: wf.arange(1e30), UsageError, "wf.arange(1e30)", ("to 1e+30",)),
    (lambda x, w: wf.full((-1,), 0), ShapeError, "wf.full((-1,), 0)", ("-1 is negative",)),
    (lambda x, w: wf.zeros(2.5), ShapeError, "wf.zeros(2.5)", ("integer, not 2.5",)),
    (lambda x, w: wf.full(2, "a"), UsageError, "wf.full(2, 'a')", ("number, not 'a'",)),
    (lambda x, w: wf.eye(-1), ShapeError, "wf.eye(-1)", ("-1 is negative",)),
    (lambda x, w: wf.linspace(0, 1, -3), ShapeError, "wf.linspace", ("-3 is negative",)),
    (lambda x, w: wf.zeros(3, dtype="f2"), DTypeError, "wf.zeros(3, dtype='f2')", ("float32",)),
    (lambda x, w: x.astype("clongdouble"), DTypeError, "x.astype", ("'clongdouble'", "float64")),
    (lambda x, w: wf.astype(x, None), DTypeError, "wf.astype(x, None)", ("None is no dtype",)),
    (lambda x, w: wf.sum(x, dtype="int33"), DTypeError, "wf.sum", ("'int33'", "int32")),
    (lambda x, w: wf.asarray(["a"]), DTypeError, "wf.asarray(['a'])", ("numbers", "a str")),
    (lambda x, w: wf.asarray(None), DTypeError, "wf.asarray(None)", ("NoneType",)),
    (lambda x, w: wf.asarray([[1], [1, 2]]), ShapeError, "wf.asarray", ("equally long",)),
    (lambda x, w: wf.asarray(["1j"]), DTypeError, "wf.asarray", ("numbers", "a str")),
    (lambda x, w: x & 1, DTypeError, "x & 1", ("bools or integers", "float32[3,4]")),
    (lambda x, w: x << 1, DTypeError, "x << 1", ("bitwise_left_shift takes integers",)),
    (lambda x, w: -(x > 0), DTypeError, "-(x > 0)", ("negative takes", "bool[3,4]")),
    (lambda x, w: x + "a", TraceError, "x + 'a'", ("a str",)),
    (lambda x, w: x / [1.0, 2.0], TraceError, "x / [1.0, 2.0]", ("list", "wf.asarray")),
    (lambda x, w: x == [1.0], TraceError, "x == [1.0]", ("list", "wf.asarray")),
    (lambda x, w: x * None, TraceError, "x * None", ("None",)),
    (lambda x, w: x.astype("i4") + 2**70, RangeError, "+ 2**70", ("does not fit int32",)),
    (lambda x, w: x + np.ones(4, "G"), DTypeError, "x + np.ones", ("complex256", "complex128")),
    (lambda x, w: wf.complex(x, 1j), DTypeError, "wf.complex(x", ("floats", "complex64")),
    (lambda x, w: x < 1j, DTypeError, "x < 1j", ("complex64[3,4]", "have no order")),
    (lambda x, w: wf.sort(x * 1j), DTypeError, "wf.sort", ("complex64[3,4]", "have no order")),
    (lambda x, w: (x * 1j).astype("f4"), DTypeError, "astype", ("to float32", "wf.real(z)")),
    (lambda x, w: x + np.ones(4, "f2"), DTypeError, "x + np.ones", ("float16", "float64")),
    (lambda x, w: wf.finfo("i4"), DTypeError, "wf.finfo('i4')", ("float dtype, not int32",)),
    (lambda x, w: wf.isdtype(wf.float32, "x"), UsageError, "wf.isdtype", ("real floating",)),
    (lambda x, w: wf.result_type("u8", "i8"), DTypeError, "wf.result_type", ("uint64 and int64",)),
    (lambda x, w: x.__setitem__(0, 1), TraceError, "x.__setitem__(0, 1)", ("wf.where",)),
    (lambda x, w: x.__delitem__(0), TraceError, "x.__delitem__(0)", ("immutable",)),
]  # fmt: skip


def written(expression: str) -> str:
    """The expression with the quotes of this file."""
    return expression.replace("'", '"')


@pytest.mark.parametrize("number", range(len(OPERANDS)))
def test_wrong_operands(number: int) -> None:
    function, kind, expression, fragments = OPERANDS[number]
    for run, args in ((wf.jit(function), (X, W)), (function, (wf.asarray(X), wf.asarray(W)))):
        check_message(raised(kind, run, *args), written(expression), fragments)


NOT_KNOWN = ("traced value (", "not known yet")

VALUES: list[Case] = [
    (lambda x: 1 if x.sum() > 0 else 2, TraceError, "x.sum() > 0", (*NOT_KNOWN, "wf.where")),
    (lambda x: x.any() and x.all(), TraceError, "x.any() and x.all()", (*NOT_KNOWN, "logical_and")),
    (lambda x: 0 < x < 1, TraceError, "0 < x < 1", NOT_KNOWN),
    (lambda x: max(x, x), TraceError, "max(x, x)", NOT_KNOWN),
    (lambda x: sorted(x), TraceError, "sorted(x)", NOT_KNOWN),
    (lambda x: int(x), TraceError, "int(x)", (*NOT_KNOWN, "astype")),
    (lambda x: float(x), TraceError, "float(x)", (*NOT_KNOWN, "f32[3,4]")),
    (lambda x: complex(x), TraceError, "complex(x)", NOT_KNOWN),
    (lambda x: math.sin(x), TraceError, "math.sin(x)", NOT_KNOWN),
    (lambda x: list(range(x)), TraceError, "range(x)", (*NOT_KNOWN, "static_argnames")),
    (lambda x: [1, 2][x[0, 0]], TraceError, "[1, 2][x[0, 0]]", NOT_KNOWN),
    (lambda x: f"{x:.2f}", TraceError, 'f"{x:.2f}"', (*NOT_KNOWN, "'.2f'")),
    (lambda x: np.asarray(x), TraceError, "np.asarray(x)", (*NOT_KNOWN, "wf.asarray")),
    (lambda x: np.sin(x), TraceError, "np.sin(x)", ("wf.sin",)),
    (lambda x: x.item(), TraceError, "x.item()", NOT_KNOWN),
    (lambda x: x.tolist(), TraceError, "x.tolist()", NOT_KNOWN),
    (lambda x: len(x.sum()), TraceError, "len(x.sum())", ("no length",)),
    (lambda x: list(x.sum()), TraceError, "list(x.sum())", ("no elements",)),
    (lambda x: pickle.dumps(x), TraceError, "pickle.dumps(x)", NOT_KNOWN),
    (lambda x: wf.zeros(x), TraceError, "wf.zeros(x)", (*NOT_KNOWN, "static_argnames")),
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_python_that_needs_values(number: int) -> None:
    function, kind, expression, fragments = VALUES[number]
    check_message(raised(kind, wf.jit(function), X), expression, fragments)


def test_statements_that_need_values() -> None:
    def loops(x: Any) -> Any:
        while x.sum() > 0:
            x = x - 1
        return x

    def asserts(x: Any) -> Any:
        assert (x > 0).all()
        return x

    def assigns(x: Any) -> Any:
        x[0] = 1
        return x

    def adds(x: Any) -> Any:
        x[0] += 1
        return x

    check_message(raised(TraceError, wf.jit(loops), X), "x.sum() > 0", NOT_KNOWN)
    check_message(raised(TraceError, wf.jit(asserts), X), "(x > 0).all()", NOT_KNOWN)
    for function in (assigns, adds):
        for run, x in ((wf.jit(function), X), (function, wf.asarray(X))):
            check_message(raised(TraceError, run, x), "x[0]", ("immutable", "wf.where"))


def test_what_tracing_allows() -> None:
    def function(x: Any) -> Any:
        print(f"{x} {x!r}")
        other = copy.deepcopy([copy.copy(x)])[0]
        other += 1
        return other + np.sum(x) + np.ones(4, "f4")

    np.testing.assert_array_equal(np.asarray(wf.jit(function)(X)), X + 14)


class Mode(enum.Enum):
    FAST = 1


class Plain:
    pass


ARGUMENTS: list[tuple[Any, type[Exception], str]] = [
    ("text", TraceError, "x of f is a str, no array; name it in wf.jit(..., static_argnames='x')"),
    (b"text", TraceError, "x of f is a bytes"),
    (Mode.FAST, TraceError, "static_argnames='x'"),
    (wf.float32, TraceError, "static_argnames='x'"),
    (len, TraceError, "static_argnames='x'"),
    ({"a": [1.0, "b"]}, TraceError, "x['a'][1] of f is a str"),
    ({1, 2}, TraceError, "is a set, not an array, a number, or a tuple, list or dict"),
    (object(), TraceError, "is an object, not an array"),
    (Plain(), TraceError, "is a Plain, not an array, a number"),
    (Decimal(1), TraceError, "is a Decimal"),
    (2**63, RangeError, "9223372036854775808 does not fit int64"),
    (np.zeros(2, "G"), DTypeError, "x of f has dtype complex256; Weft's dtypes are bool"),
    (np.zeros(2, "f2"), DTypeError, "has dtype float16"),
    (np.array(["a"]), DTypeError, "has dtype <U1"),
    (np.array([None]), DTypeError, "has dtype object"),
    (np.array(["2020"], "M8[D]"), DTypeError, "has dtype datetime64[D]"),
    (np.datetime64("2020-01-01"), DTypeError, "has dtype datetime64[D]"),
    (np.zeros(2, [("a", "f4")]), DTypeError, "has dtype [('a', '<f4')]"),
    (np.zeros((1,) * 9), ShapeError, "x of f has 9 axes; an array has at most 8"),
]


@pytest.mark.parametrize("number", range(len(ARGUMENTS)))
def test_arguments(number: int) -> None:
    @wf.jit
    def f(x: Any) -> Any:
        return x

    value, kind, fragment = ARGUMENTS[number]
    check_message(raised(kind, lambda: f(value)), "f(value)", (fragment,))


def test_arguments_of_public_functions() -> None:
    for value, kind in (("text", TraceError), (np.zeros(2, "G"), DTypeError)):
        message = str(raised(kind, lambda value=value: wf.exp(value)))
        assert "exp: x " in message and "static_argnames" not in message


def test_arguments_that_contain_themselves() -> None:
    nested: list[Any] = []
    nested.append(nested)
    error = raised(UsageError, lambda: wf.jit(lambda x: 1)(nested))
    assert "contain themselves" in str(error)


def test_calls_that_do_not_fit_are_python_errors() -> None:
    @wf.jit
    def f(x: Any, *, scale: Any = 1.0) -> Any:
        return x * scale

    for run, message in (
        (lambda: f(X, X), "takes 1 positional argument but 2"),
        (lambda: f(), "missing 1 required positional argument: 'x'"),
        (lambda: f(X, by=1), "unexpected keyword argument 'by'"),
    ):
        with pytest.raises(TypeError, match=message):
            run()
    call: Any = wf.jit(lambda *rest: rest[0])
    assert "rest[1] of <lambda> is a str" in str(raised(TraceError, lambda: call(X, "a")))


@pytest.mark.parametrize("result", ["text", object(), {1}, b"x", len, wf.float32, iter([1])])
def test_results(result: Any) -> None:
    def f(x: Any) -> Any:
        return {"a": [x, result]}

    error = raised(TraceError, wf.jit(f), X)
    check_message(error, "def f(x", ("f returns a", "at ['a'][1]", "it may return arrays"))


async def coroutine(x: Any) -> Any:
    return x


def generator(x: Any) -> Any:
    yield x


DECORATIONS: list[tuple[Function, str]] = [
    (lambda: wf.jit(3), "jit takes a function, not 3"),
    (lambda: wf.jit(coroutine), "coroutine is a coroutine function"),
    (lambda: wf.jit(generator), "generator is a generator function"),
    (lambda: wf.jit(abs, static_argnames=5), "a name or a tuple of names, not 5"),
    (lambda: wf.jit(abs, static_argnames=[1]), "a name or a tuple of names, not [1]"),
    (lambda: wf.jit(lambda x: x, static_argnames="y"), "no parameter 'y' to be static"),
    (lambda: wf.jit(lambda x: x, static_argnames="x")([1]), "must be hashable, not a list"),
    (lambda: wf.jit(lambda x: x, static_argnames="x")(X), "must be hashable, not a ndarray"),
    (lambda: wf.grad(3), "grad takes a function, not 3"),
    (lambda: wf.concat(X, X), "concat: axis is a constant of the program, not a ndarray"),
    (lambda: wf.top_k(X, wf.ones(())), "top_k: k is a constant of the program, not an Array"),
    (lambda: wf.grad(abs, argnums="x"), "a tuple of them, not 'x'"),
    (lambda: wf.grad(abs, argnums=3)(X), "argument 3, but 1 were passed by position"),
    (lambda: wf.grad(lambda *, x: x.sum())(x=X), "argument 0, but 0 were passed by position"),
    (lambda: wf.grad(lambda x: x.sum(), has_aux=True)(X), "returns (value, anything)"),
    (lambda: wf.vjp(3, X), "vjp takes a function, not 3"),
    (lambda: wf.vjp(lambda x: x, X)[1]((X, X)), "the cotangent is (*, *), but"),
    (lambda: wf.jit(lambda x: x).ir(X, stage="hlo"), "no stage 'hlo'; there are graph,"),
]


@pytest.mark.parametrize("number", range(len(DECORATIONS)))
def test_options_of_transforms(number: int) -> None:
    run, fragment = DECORATIONS[number]
    assert fragment in str(raised(UsageError, run))


@pytest.mark.parametrize("option", ["device", "donate", "static_argnums"])
def test_unknown_options_of_jit(option: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        wf.jit(abs, **{option: 1})  # type: ignore[call-overload]


GRADIENTS: list[tuple[Function, type[Exception], str]] = [
    (lambda: wf.grad(lambda x: x * x)(X), ShapeError, "the function returns shape (3, 4); sum it"),
    (lambda: wf.grad(lambda x: (x, x))(X), ShapeError, "the function returns a tuple"),
    (lambda: wf.grad(lambda x: None)(X), ShapeError, "the function returns None"),
    (lambda: wf.grad(lambda x: (x > 0).any())(X), DTypeError, "the function returns bool"),
    (lambda: wf.grad(lambda x: x.sum())(LABELS), DTypeError, "argument 0 is int64"),
    (lambda: wf.grad(lambda x: x * x)(3), DTypeError, "argument 0 is int64; only floats have"),
    (lambda: wf.vjp(lambda x: x, X)[1](W), ShapeError, "has shape (3, 2), the value (3, 4)"),
]


@pytest.mark.parametrize("number", range(len(GRADIENTS)))
def test_gradients(number: int) -> None:
    run, kind, fragment = GRADIENTS[number]
    check_message(raised(kind, run), "wf.", (fragment,))


def test_leaked_tracer() -> None:
    kept: list[Any] = []
    wf.jit(lambda x: kept.append(x * 2))(X)
    for use in (lambda: wf.jit(lambda y: kept[0] + y)(X), lambda: wf.exp(kept[0])):
        with pytest.raises(TraceError) as caught:
            use()
        assert f"{FILE}:" in str(caught.value) and "ended" in str(caught.value)


def test_index_out_of_bounds_while_running() -> None:
    @wf.jit
    def f(x: Any, i: Any) -> Any:
        y = x * 2
        return wf.take(y, i, axis=0) + 1

    for index in (5, -4):
        error = raised(OutOfBoundsError, f, X, np.array([0, index]))
        assert isinstance(error, IndexError)
        for fragment in (f"{FILE}:", "wf.take(y, i, axis=0)", "axis 0 of size 3", "element 1"):
            assert fragment in str(error)


def test_scalars_of_arrays() -> None:
    array, fraction = wf.asarray(X), wf.asarray(1.5)
    for run in (lambda: int(array), lambda: float(array), lambda: bool(array), array.item):
        assert "one element" in str(raised(TraceError, run))
    assert "wf.any(x) or wf.all(x)" in str(raised(TraceError, lambda: bool(array)))
    move = lambda x: x.to_device("cuda")  # noqa: E731
    for run, x in ((move, array), (wf.jit(move), X)):
        assert "the only device is 'cpu'" in str(raised(UsageError, run, x))
    assert array.to_device("cpu") is array
    assert "0-d integer array" in str(raised(TraceError, lambda: [1, 2][fraction]))  # type: ignore[call-overload]
    assert "(3, 4)" in str(raised(TraceError, lambda: f"{array:.2f}"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(array)


def test_functions_without_source() -> None:
    space: dict[str, Any] = {"wf": wf, "X": X}
    exec("f = wf.jit(lambda x, y:\n x @ y)", space)
    text = str(raised(ShapeError, lambda: space["f"](X, X)))
    assert text.startswith("<string>:2\n  matmul: x has shape (3, 4) and y has shape (3, 4)")
    np.testing.assert_array_equal(np.asarray(space["f"](X, X.T.copy())), X @ X.T)


def test_the_users_own_errors_pass_through() -> None:
    def f(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        wf.jit(f)(X)
    assert float(wf.jit(lambda x: x + 1)(X)[0, 0]) == 2
