"""What a program is compiled for, but for the graph that it computes."""

from __future__ import annotations

from dataclasses import dataclass

from weftrt.target import Target


@dataclass(frozen=True)
class Options:
    """What the compiler may count on and what is asked of it: part of the key of every program.

    The caller gives up the memory of the inputs number `donated`, in order. A program that is to be
    `watched` describes the buffers of its launches."""

    target: Target
    donated: tuple[int, ...] = ()
    watched: bool = False
