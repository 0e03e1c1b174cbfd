"""Donated inputs: a result takes over the memory of an Array that the caller gives up.

It does where nobody else uses that memory: no view, no buffer that was exported, no other argument
of the call, and no program under way beside it. Else the result has memory of its own. Either way
the Array is no more once the call has succeeded, as all are that were donated. Where the call fails
before it has written to the memory, the Array is as it was.
"""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject, array_header, pin
from weftrt.cpu.native.intrinsics import cast, stack
from weftrt.cpu.native.pool import pool_give
from weftrt.cpu.native.python import STATE, Py_DecRef, Py_IncRef, PyObject_Vectorcall, type_of
from weftrt.cpu.native.signals import WATCH
from weftrt.cpu.native.tables import ProgramTable
from weftrt.cpu.native.types import I64, Bool, Pointer, Ptr, Struct, native, rare


class Donation(Struct):
    """What a call of a program was given. `words` say where it was called; `touched` is whether it
    may have written to what it took."""

    program: ProgramTable
    items: Pointer[Ptr]
    words: Ptr
    touched: I64


@rare
@native
def pin_all(donation: Donation, change: I64) -> None:
    """Note that this call uses the memory of its inputs, or that it does not any more."""
    for index in range(donation.program.input_count):
        pin(donation.items[index], change)


@native
def start_donation(donation: Donation) -> Bool:
    """Pin the inputs, and find the words; False with an exception."""
    donation.touched = 0
    if donation.program.takes is None:
        return True
    given = stack(Ptr, 1)
    given[0] = donation.program.owner
    pin_all(donation, 1)
    donation.words = PyObject_Vectorcall(STATE.donation_words, given, 1, None)
    if donation.words is None:
        pin_all(donation, -1)
    return donation.words is not None


@native
def given_array(donation: Donation, number: I64) -> ArrayObject:
    """The Array that is an input; NULL for what is none, and for no input."""
    none: ArrayObject = None  # type: ignore[assignment]
    if number < 0:
        return none
    item = donation.items[number]
    return item if item is not None and type_of(item) == STATE.array_type else none


@native
def is_free(array: ArrayObject) -> Bool:
    """Whether nobody but this call uses the memory of an Array."""
    if array is None or array.data is None or array.owner is not None:
        return False
    return array.pins == 1 and WATCH.others == 0


@native
def give_up(donation: Donation, array: ArrayObject) -> None:
    """From here on an Array has no memory, and says why."""
    STATE.donations += 1
    array.data = None
    Py_IncRef(donation.words)
    array.words = donation.words


@rare
@native
def take_over(donation: Donation, output: I64, result: ArrayObject) -> Bool:
    """Give the memory of an input to a result that has none; False where that cannot be."""
    array = given_array(donation, donation.program.takes[output])
    if not is_free(array) or array.bytes != result.bytes:
        return False
    result.data = array.data
    result.capacity = array.capacity
    give_up(donation, array)
    return True


@rare
@native
def give_back(donation: Donation, results: Pointer[ArrayObject]) -> None:
    """Let the inputs have again what the results took over."""
    for output in range(donation.program.output_count):
        array = given_array(donation, donation.program.takes[output])
        if array is not None and array.words == donation.words:
            array.data = results[output].data
            results[output].data = None
            array.words = None
            Py_DecRef(donation.words)


@native
def let_go(array: ArrayObject) -> Bool:
    """Free the memory of an Array, or let another one own it that lives as long where somebody uses
    it; False where there is no memory for that."""
    if is_free(array):
        pool_give(array.data, array.capacity)
    elif array.owner is None:
        keeper = array_header(array.dtype, array.ndim, array.shape)
        if keeper is None:
            return False
        keeper.data = array.data
        keeper.capacity = array.capacity
        array.owner = cast(Ptr, keeper)
    return True


@rare
@native
def give_up_rest(donation: Donation) -> None:
    """The donated Arrays that no result took over are given up too."""
    for index in range(donation.program.donated_count):
        array = given_array(donation, donation.program.donated[index])
        if array is not None and array.data is not None and let_go(array):
            give_up(donation, array)


@native
def end_donation(donation: Donation, done: Bool, results: Pointer[ArrayObject]) -> None:
    """After the run, or what came of it: of its results some may be NULL."""
    if donation.program.takes is None:
        return
    if done:
        give_up_rest(donation)
    elif donation.touched == 0:
        give_back(donation, results)
    pin_all(donation, -1)
    Py_DecRef(donation.words)
