"""The native runtime in two modules: together they are the whole, and both are valid."""

from __future__ import annotations

import re

import llvmlite.binding as llvm

from weftrt.cpu.host import host
from weftrt.cpu.native import library, parts

TEXT = """declare i64 @labs(i64)
@COUNT = internal global [8 x i8] zeroinitializer, align 128
define internal i64 @entry(i64 %x) {
  %r = call i64 @usual(i64 %x)
  %s = call i64 @failing(i64 %r)
  ret i64 %s
}
define internal i64 @usual(i64 %x) {
  %n = load i64, ptr @COUNT
  ret i64 %n
}
define internal i64 @failing(i64 %x) {
  %r = call i64 @words(i64 %x)
  %s = call i64 @usual(i64 %r)
  ret i64 %s
}
define internal i64 @words(i64 %x) {
  %r = call i64 @labs(i64 %x)
  ret i64 %r
}
"""


def _defined(text: str) -> set[str]:
    return set(re.findall(r"^define .*?@(\w+)\(", text, re.MULTILINE))


def _check(text: str) -> None:
    with llvm.parse_assembly(text, llvm.create_context()) as module:
        module.verify()


def test_what_only_rare_functions_call_is_rare() -> None:
    frequent, rare = parts.split(TEXT, ["entry"], ["failing"])
    assert _defined(frequent) == {"entry", "usual"}
    assert _defined(rare) == {"failing", "words"}


def test_a_global_is_defined_once() -> None:
    frequent, rare = parts.split(TEXT, ["entry"], ["failing"])
    assert "@COUNT = hidden global [8 x i8] zeroinitializer, align 128" in frequent
    assert "@COUNT = external hidden global [8 x i8], align 128" in rare
    for text in (frequent, rare):
        _check(text)


def test_the_parts_of_the_runtime_are_the_whole_of_it() -> None:
    triple = host().triple
    frequent, rare = library.quick_texts(triple, "table")
    assert _defined(frequent).isdisjoint(_defined(rare))
    assert _defined(frequent) | _defined(rare) == _defined(library.written_text(triple, "table"))
    assert {"weft_compiled_call", "execute", "weft_parallel"} <= _defined(frequent)
    assert {"shorten_traceback", "call_python", "weft_compiled_new"} <= _defined(rare)
    for text in (frequent, rare):
        _check(text)
