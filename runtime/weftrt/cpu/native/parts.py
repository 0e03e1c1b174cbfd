"""The native runtime in two modules: what calls run, and what is rarely run.

LLVM takes many times as long over code that it optimizes. Where the first process waits for it, it
optimizes what most calls run. The rest works the same without: it was marked `rare`, or nothing but
such functions call it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_FUNCTION = re.compile(r"^define internal (.*?@(\w+)\(.*\)) \{\n(?:.+\n)*?\}\n", re.MULTILINE)
_STATIC = re.compile(r"^(@\w+) = internal global (.*) zeroinitializer(.*)$", re.MULTILINE)
_REFERENCE = re.compile(r"@(\w+)")


def split(text: str, exported: Collection[str], rare: Collection[str]) -> tuple[str, str]:
    """A translated module as two that need each other: with what the exported functions reach but
    through those that are `rare`, and with the rest."""
    matches = list(_FUNCTION.finditer(text))
    functions = {match[2]: match[0] for match in matches}
    declared = {match[2]: f"declare hidden {match[1]}\n" for match in matches}
    frequent = _reached(functions, set(exported), set(rare))
    common = _FUNCTION.sub("", text)
    shared = _STATIC.sub(r"\1 = hidden global \2 zeroinitializer\3", common)
    used = _STATIC.sub(r"\1 = external hidden global \2\3", common)
    visible = {
        name: body.replace("define internal", "define hidden", 1)
        for name, body in functions.items()
    }
    return (
        shared + "".join((visible if name in frequent else declared)[name] for name in functions),
        used + "".join((declared if name in frequent else visible)[name] for name in functions),
    )


def _reached(functions: Mapping[str, str], roots: set[str], rare: set[str]) -> set[str]:
    """The functions that roots refer to, themselves or by others; none of those that are rare."""
    reached: set[str] = set()
    pending = roots - rare
    while pending:
        name = pending.pop()
        reached.add(name)
        pending |= functions.keys() & set(_REFERENCE.findall(functions[name])) - rare - reached
    return reached
