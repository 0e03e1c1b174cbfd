"""Compiled functions: matching, results, guards, the slow path, references."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from tests.runtime.programs import F32, M, N, add_program, chain_program, check_program, spec

from weftrt import array, dtypes
from weftrt.cpu import callable as compiled_function
from weftrt.cpu.executable import load
from weftrt.errors import OutOfBoundsError, UsageError
from weftrt.program import ArraySpec, KernelCode, Launch, Program
from weftrt.signature import (
    ArrayOutput,
    ArrayPattern,
    CellInput,
    ClosurePlace,
    ConstantOutput,
    DictOutput,
    DictPattern,
    FixedInput,
    GlobalPlace,
    ListOutput,
    ListPattern,
    PlaceGuard,
    SameGuard,
    ScalarPattern,
    Signature,
    StaticPattern,
    TupleOutput,
    TuplePattern,
    TypeGuard,
)
from weftrt.size_expressions import SizeCheck, SizeOp

FOUR = ArrayPattern(spec(4))


def slow(compiled, args, kwargs):
    return ("slow", args, kwargs)


def make(positional=(), keywords=(), guards=(), program=None, hidden=(), output=None):
    function = compiled_function.new(slow)
    signature = Signature(tuple(positional), tuple(keywords), tuple(guards))
    add(function, signature, program or add_program(4), hidden, output or ArrayOutput(0))
    return function


def add(function, signature, program, hidden=(), output=ArrayOutput(0)):  # noqa: B008
    entry = compiled_function.Entry(signature, load(program), hidden, output)
    compiled_function.install(function, (*compiled_function.installed(function), entry))


def clear(function):
    compiled_function.install(function, ())


def four(start=0.0):
    return array.from_numpy(np.arange(start, start + 4, dtype="f4"))


def is_slow(result):
    return type(result) is tuple and result[0] == "slow"


def same(result, expected):
    np.testing.assert_array_equal(array.to_numpy(result), expected)


def test_without_entries_the_slow_path_gets_everything():
    function = compiled_function.new(slow)
    assert function(1, 2, b=3, a=4) == ("slow", (1, 2), {"b": 3, "a": 4})
    assert function() == ("slow", (), {})
    assert compiled_function.installed(function) == ()


def test_the_slow_path_receives_the_function_and_its_errors_propagate():
    function = compiled_function.new(lambda compiled, args, kwargs: compiled)
    assert function(1) is function
    failing = compiled_function.new(lambda compiled, args, kwargs: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing()


def test_arrays_and_numpy_arrays_match():
    function = make((FOUR, FOUR))
    x = np.arange(4, dtype="f4")
    for first in (x, four()):
        for second in (x, four()):
            same(function(first, second), x + x)


@pytest.mark.parametrize(
    "wrong",
    [
        np.arange(4, dtype="f8"),
        np.arange(5, dtype="f4"),
        np.arange(4, dtype="f4").reshape(2, 2),
        np.arange(4, dtype=">f4"),
        np.arange(4, dtype="f4").view(np.matrix),
        array.from_numpy(np.arange(4)),
        array.from_numpy(np.float32(1).reshape(())),
        None,
        1.0,
        [1.0],
    ],
)
def test_anything_else_takes_the_slow_path(wrong):
    function = make((FOUR, FOUR))
    assert is_slow(function(four(), wrong))
    assert is_slow(function(wrong, four()))


def test_a_wrong_number_of_arguments_takes_the_slow_path():
    function = make((FOUR, FOUR))
    assert is_slow(function())
    assert is_slow(function(four()))
    assert is_slow(function(four(), four(), four()))
    assert is_slow(function(four(), four(), y=1))


def test_keywords_in_any_order_and_not_interned():
    function = make((), (("x", FOUR), ("y", FOUR)))
    x = np.arange(4, dtype="f4")
    same(function(x=x, y=x), x + x)
    same(function(y=x, x=x), x + x)
    names = {"".join(["x", ""]): x, bytes([121]).decode(): x}
    same(function(**names), x + x)
    assert is_slow(function(x=x, z=x))
    assert is_slow(function(x=x))


def test_symbolic_sizes():
    pattern = ArrayPattern(spec(N, M))
    function = make((pattern, pattern), program=add_program(N, M))
    for shape in ((2, 3), (4, 4), (0, 5), (1, 1)):
        x = np.ones(shape, "f4")
        same(function(x, x), x + x)
    assert is_slow(function(np.ones((2, 3), "f4"), np.ones((2, 4), "f4")))
    assert is_slow(function(np.ones((2, 3), "f4"), np.ones((3, 3), "f4")))


def test_constraints_of_sizes():
    check = SizeCheck((N, -3, SizeOp.ADD), False, "n >= 3")
    program = dataclasses.replace(chain_program(), constraints=(check,))
    function = make((ArrayPattern(spec(N)),), program=program)
    x = np.ones(3, "f4")
    same(function(x), -(x + x))
    assert is_slow(function(np.ones(2, "f4")))


def test_nested_containers():
    pattern = TuplePattern(
        (ListPattern((FOUR,)), DictPattern(("b", "a"), (FOUR, StaticPattern(7))))
    )
    function = make((pattern,))
    x = four()
    same(function(([x], {"a": 7, "b": x})), 2 * np.arange(4))
    for wrong in (
        ([x], {"b": x}),
        ([x], {"a": 8, "b": x}),
        ([x], {"a": 7, "b": x, "c": 1}),
        ([x], {"a": 7, "c": x}),
        ((x,), {"a": 7, "b": x}),
        ([x, x], {"a": 7, "b": x}),
        [[x], {"a": 7, "b": x}],
        (),
    ):
        assert is_slow(function(wrong))


def test_static_values_are_compared_by_type_and_bits():
    def accepts(value, given):
        return not is_slow(make((StaticPattern(value), FOUR, FOUR))(given, four(), four()))

    nan = float("nan")
    assert accepts("abc", "".join(["ab", "c"]))
    assert accepts((1, "a"), (1, "a"))
    assert accepts(nan, nan)
    assert accepts(0.5, 0.5)
    assert not accepts(0.0, -0.0)
    assert not accepts((0.0,), (-0.0,))
    assert not accepts((1,), (True,))
    assert not accepts(1, True)
    assert not accepts(1, 1.0)
    assert not accepts(None, 0)


def test_an_error_in_equality_is_a_mismatch():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    function = make((StaticPattern(Odd()), FOUR, FOUR))
    assert is_slow(function(Odd(), four(), four()))


def scalar_program(dtype, words):
    """A copy of a 0-d input."""
    kernel = KernelCode(
        f"test_copy_{words}",
        f"""define void @test_copy_{words}(ptr %buffers, ptr %sizes, ptr %status) {{
  %from = load ptr, ptr %buffers
  %q = getelementptr ptr, ptr %buffers, i64 1
  %to = load ptr, ptr %q
  %x = load {words}, ptr %from
  store {words} %x, ptr %to
  ret void
}}
""",
    )
    return Program(
        name="copy",
        key="copy",
        inputs=(ArraySpec(dtype, ()),),
        outputs=(ArraySpec(dtype, ()),),
        symbols=(),
        derived=(),
        temporaries=(),
        arena=0,
        kernels=(kernel,),
        steps=(Launch(0, (0, 1), ()),),
        sites=(),
        results=(0,),
        work=0,
    )


@pytest.mark.parametrize(
    "kind, dtype, words, values",
    [
        (float, dtypes.float64, "double", [0.0, -0.0, 1.5, float("inf"), 5e-324]),
        (int, dtypes.int64, "i64", [0, -1, 2**63 - 1, -(2**63)]),
        (bool, dtypes.bool_, "i8", [True, False]),
    ],
)
def test_scalars(kind, dtype, words, values):
    function = make((ScalarPattern(kind),), program=scalar_program(dtype, words))
    for value in values:
        result = array.to_numpy(function(value))
        assert result == value and np.signbit(result) == np.signbit(np.float64(value))
    for other in (1.0, 1, True, 2**63, "1", None, np.uint64(2**63), np.str_("1"), np.complex64(1)):
        if type(other) is not kind or other == 2**63:
            assert is_slow(function(other))


NUMPY_SCALARS = {
    float: ("double", dtypes.float64, [np.float64(-0.0), np.float32(0.1), np.float16(2.5)]),
    int: ("i64", dtypes.int64, [np.int64(-5), np.int32(7), np.int8(-1), np.uint64(2**63 - 1)]),
    bool: ("i8", dtypes.bool_, [np.True_, np.False_]),
}


@pytest.mark.parametrize("kind", NUMPY_SCALARS)
def test_numpy_scalars(kind):
    words, dtype, values = NUMPY_SCALARS[kind]
    function = make((ScalarPattern(kind),), program=scalar_program(dtype, words))
    for value in values:
        result = array.to_numpy(function(value))
        assert result == value.item() and np.signbit(result) == np.signbit(np.float64(value))
    for other in NUMPY_SCALARS:
        if other is not kind:
            assert all(is_slow(function(value)) for value in NUMPY_SCALARS[other][2])


def test_output_trees():
    tree = DictOutput(
        ("k", 3),
        (
            TupleOutput((ArrayOutput(1), ConstantOutput(None), ArrayOutput(1))),
            ListOutput((ArrayOutput(0), TupleOutput(()), ConstantOutput("text"))),
        ),
    )
    function = make((ArrayPattern(spec(N)),), program=chain_program(), output=tree)
    x = np.arange(3, dtype="f4")
    result = function(x)
    assert list(result) == ["k", 3]
    first, nothing, again = result["k"]
    assert nothing is None and first is again
    same(first, x + x)
    negated, empty, text = result[3]
    same(negated, -(x + x))
    assert empty == () and text == "text"


def test_entries_are_tried_in_order():
    function = make((FOUR, FOUR))
    add(function, Signature((ArrayPattern(spec(N)),), (), ()), chain_program())
    assert len(compiled_function.installed(function)) == 2
    same(function(four(), four()), 2 * np.arange(4))
    same(function(np.float32([1, 2])), [-2, -4])
    clear(function)
    assert compiled_function.installed(function) == ()
    assert is_slow(function(four(), four()))


def test_cell_and_global_guards():
    captured = object()

    def closure():
        return captured  # noqa: F821

    namespace = {"g": captured}
    cell = closure.__closure__[0]
    places = (ClosurePlace(cell, "captured"), GlobalPlace(namespace, "g"))
    guards = [PlaceGuard(place, captured) for place in places]
    function = make((FOUR, FOUR), guards=guards)
    assert not is_slow(function(four(), four()))
    namespace["g"] = object()
    assert is_slow(function(four(), four()))
    del namespace["g"]
    assert is_slow(function(four(), four()))
    namespace["g"] = captured
    assert not is_slow(function(four(), four()))
    captured = None
    assert is_slow(function(four(), four()))
    del captured
    assert is_slow(function(four(), four()))


def test_hidden_inputs_and_their_symbolic_sizes():
    hidden = array.from_numpy(np.float32([10, 20, 30]))
    function = make((ArrayPattern(spec(N)),), program=add_program(N), hidden=(FixedInput(hidden),))
    references = sys.getrefcount(hidden)
    same(function(np.float32([1, 2, 3])), [11, 22, 33])
    assert is_slow(function(np.float32([1, 2])))
    assert sys.getrefcount(hidden) == references


def places_of(value):
    """A closure cell and a global that hold `value`, and functions that bind others there."""

    def closure():
        return value

    def rebind(other):
        nonlocal value
        value = other

    namespace = {"g": value}
    yield ClosurePlace(closure.__closure__[0], "value"), rebind
    yield GlobalPlace(namespace, "g"), lambda other: namespace.__setitem__("g", other)


@pytest.mark.parametrize("number", range(2))
def test_a_cell_is_read_at_each_call(number):
    place, rebind = list(places_of(four(10)))[number]
    function = make((FOUR,), hidden=(CellInput(place),))
    same(function(four()), np.arange(4) * 2 + 10)
    rebound = four(20)
    references = sys.getrefcount(rebound)
    rebind(rebound)
    same(function(four()), np.arange(4) * 2 + 20)
    assert sys.getrefcount(rebound) == references + 1
    for other in (None, 1.0, array.from_numpy(np.zeros(5, "f4")), np.zeros(4), np.zeros(4, "f4")):
        rebind(other)
        assert is_slow(function(four()))
    rebind(rebound)
    same(function(four()), np.arange(4) * 2 + 20)


def test_a_foreign_cell_may_hold_an_ndarray():
    place, rebind = next(places_of(np.zeros(4, "f4")))
    function = make((FOUR,), hidden=(CellInput(place, foreign=True),))
    for held in (
        np.arange(4, dtype="f4"),
        four(),
        np.arange(8, dtype="f4").reshape(4, 2)[:, 0] / 2,
    ):
        rebind(held)
        same(function(four()), np.arange(4) * 2)


def test_a_deleted_name_is_no_array():
    namespace = {"g": four()}
    function = make((FOUR,), hidden=(CellInput(GlobalPlace(namespace, "g")),))
    assert not is_slow(function(four()))
    del namespace["g"]
    assert is_slow(function(four()))


@pytest.mark.parametrize("number", range(2))
def test_guards_of_types_and_of_sameness(number):
    first = four(10)
    place, rebind = list(places_of(first))[number]
    of_type = make((FOUR, FOUR), guards=(TypeGuard(place, spec(4)),))
    same_array = make((FOUR,), hidden=(FixedInput(first),), guards=(SameGuard(place, 1),))
    assert not is_slow(of_type(first, first)) and not is_slow(same_array(first))
    rebind(four(10))
    assert not is_slow(of_type(first, first)) and is_slow(same_array(first))
    for other in (np.zeros(4, "f4"), array.from_numpy(np.zeros(4)), None):
        rebind(other)
        assert is_slow(of_type(first, first)) and is_slow(same_array(first))
    rebind(first)
    assert not is_slow(of_type(first, first)) and not is_slow(same_array(first))


def test_a_signature_that_does_not_fit_the_program_is_refused():
    with pytest.raises(UsageError, match="takes 2 inputs"):
        make((FOUR,))
    with pytest.raises(UsageError, match="leaf 1"):
        make((FOUR, ArrayPattern(spec(5))))


def test_errors_in_kernels():
    pattern = ArrayPattern(spec(N))
    function = make((pattern, pattern), program=check_program())
    x = np.float32([1, 2, -3])
    with pytest.raises(OutOfBoundsError, match=r"user.py:3: x is negative \(element 2\)"):
        function(x, np.abs(x))


def test_it_is_a_function_object():
    function = functools.wraps(slow)(make((FOUR, FOUR)))
    assert function.__name__ == "slow" and function.__wrapped__ is slow
    assert callable(function) and weakref.ref(function)() is function

    class Owner:
        method = function

    instance = Owner()
    assert instance.method(1) == ("slow", (instance, 1), {})
    assert Owner.method(1) == ("slow", (1,), {})
    with pytest.raises(TypeError):
        type(function)()


def test_cycles_are_collected():
    function = make((FOUR, FOUR))
    function.myself = function
    gone = weakref.ref(function)
    del function
    gc.collect()
    assert gone() is None


def test_references_are_exact():
    pattern = TuplePattern((FOUR, DictPattern(("a",), (FOUR,))))
    constant = object()
    tree = TupleOutput((ArrayOutput(0), ConstantOutput(constant)))
    function = make((pattern,), (("key", StaticPattern("s")),), output=tree)
    x, y = four(), np.arange(4, dtype="f4")
    watched = (x, y, constant, None, function, F32, type(x))
    before = [sys.getrefcount(item) for item in watched], array.pool_stats()["used_blocks"]
    for _ in range(20_000):
        function((x, {"a": y}), key="s")
        function((x, {"a": x}), key="t")
        function((x, {"a": y[:3]}), key="s")
    after = [sys.getrefcount(item) for item in watched], array.pool_stats()["used_blocks"]
    assert all(abs(a - b) <= 3 for a, b in zip(before[0], after[0], strict=True))
    assert before[1] == after[1]


def test_nothing_is_left_behind():
    pattern = ArrayPattern(spec(N))
    function = make((pattern, pattern), (("k", ScalarPattern(bool)),), program=with_scalar())
    x = np.ones(5, "f4")

    def calls(count):
        for _ in range(count):
            function(x, x, k=True)
            with contextlib.suppress(IndexError):
                function(x, -x, k=True)
            function(x, x)

    calls(100)
    gc.collect()
    tracemalloc.start()
    calls(200)
    before = tracemalloc.get_traced_memory()[0]
    calls(2000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 2000


def with_scalar():
    """check_program with a scalar input that it does not use."""
    program = check_program()
    inputs = (*program.inputs, ArraySpec(dtypes.bool_, ()))
    steps = tuple(
        dataclasses.replace(step, buffers=tuple(b + (b > 1) for b in step.buffers))
        for step in program.steps
    )
    return dataclasses.replace(program, inputs=inputs, steps=steps)


def test_entries_can_be_replaced_while_they_run():
    pattern = ArrayPattern(spec(N))
    signature = Signature((pattern, pattern), (), ())
    program = add_program(N, work=1_000_000)
    function = make((pattern, pattern), program=program)
    x = np.arange(200_000, dtype="f4")
    failures = []

    def caller():
        for _ in range(100):
            result = function(x, x)
            if not is_slow(result) and array.to_numpy(result)[-1] != 2 * x[-1]:
                failures.append(result)

    threads = [threading.Thread(target=caller) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        clear(function)
        gc.collect()
        add(function, signature, program)
        time.sleep(0.001)
    assert not failures


def test_the_process_ends_well_with_arrays_threads_and_functions_alive():
    code = """
import sys
from tests.runtime.test_callable import *
from tests.runtime import test_threads
test_threads.threads.set_threads(3)
test_threads.check(load(test_threads.program()), 1000)
function = make((FOUR, FOUR))
function.myself, sys.kept = function, [function, function(four(), four())]
sys.more = array.to_numpy(sys.kept[1])
"""
    roots = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": roots}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


def test_containers_that_change_while_they_are_matched():
    class Clears:
        def __init__(self, victim):
            self.victim = victim

        def __eq__(self, other):
            self.victim.clear()
            return True

        __hash__ = None

    items = [four(), None, four()]
    pattern = ListPattern((FOUR, StaticPattern(Clears(items)), FOUR))
    items[1] = Clears(items)
    assert is_slow(make((pattern,))(items))
