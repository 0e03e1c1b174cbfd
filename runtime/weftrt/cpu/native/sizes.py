"""Evaluates the sizes that a program derives from its symbols, and its conditions for them.

An expression is the count of its parts, then two words for each: an operation, and its operand.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import product_overflows, stack, sum_overflows
from weftrt.cpu.native.types import I64, Bool, Pointer, native

LITERAL, SLOT, ADD, MUL, FLOOR_DIV, MIN = range(6)
DEEPEST = 32
"""Values that an evaluation can hold."""


@native
def combine(operation: I64, left: I64, right: I64, place: Pointer[I64]) -> Bool:
    """Put the result of an operation in a place; False where it does not fit 64 bits."""
    if operation == ADD:
        if sum_overflows(left, right):
            return False
        place[0] = left + right
    elif operation == MUL:
        if product_overflows(left, right):
            return False
        place[0] = left * right
    elif operation == MIN:
        place[0] = left if left < right else right
    elif right <= 0:
        place[0] = 0
    else:
        quotient = left // right  # rounded to zero
        place[0] = quotient - 1 if quotient * right > left else quotient
    return True


@native
def evaluate_size(code: Pointer[I64], sizes: Pointer[I64], place: Pointer[I64]) -> Bool:
    """Put the value of an expression in a place; False where one in it does not fit 64 bits."""
    values = stack(I64, DEEPEST)
    top = 0
    for part in range(code[0]):
        operation = code[2 * part + 1]
        operand = code[2 * part + 2]
        if operation == LITERAL:
            values[top] = operand
            top += 1
        elif operation == SLOT:
            values[top] = sizes[operand]
            top += 1
        else:
            top -= 1
            left = values[top - 1]
            if not combine(operation, left, values[top], values + (top - 1)):
                return False
    place[0] = values[0]
    return True


@native
def derive_sizes(code: Pointer[I64], count: I64, first: I64, sizes: Pointer[I64]) -> Bool:
    """Evaluate `count` expressions into the sizes from `first` on; False where one overflows."""
    for index in range(count):
        if not evaluate_size(code, sizes, sizes + (first + index)):
            return False
        code = code + (2 * code[0] + 1)
    return True


@native
def sizes_allowed(code: Pointer[I64], count: I64, sizes: Pointer[I64]) -> Bool:
    """Whether `count` conditions hold: for each whether it is exact, then its expression."""
    value = stack(I64, 1)
    for _index in range(count):
        expression = code + 1
        if not evaluate_size(expression, sizes, value):
            return False
        if value[0] < 0 or (code[0] != 0 and value[0] != 0):
            return False
        code = expression + (2 * expression[0] + 1)
    return True
