"""What WEFT_VERIFY checks when a program is compiled, loaded from disk, or shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from weftc import pipeline
from weftc.ir.node import Graph
from weftc.transforms import pairs
from weftc.validate import FormValidator, Miscompiled, Validator
from weftrt import knobs
from weftrt.cpu.executable import Executable
from weftrt.log import say
from weftrt.options import Options
from weftrt.program import Program

_LEVEL_OF_VALUES = 2


def validator() -> Validator:
    """The validator of the level in force; that of values runs what was compiled on this CPU."""
    level = knobs.verify()
    if level < _LEVEL_OF_VALUES:
        return FormValidator() if level else Validator()
    from weftc.validate.values import Native, ValueValidator  # not needed by those who only run
    from weftrt.cpu import trial

    return ValueValidator(Native(trial.run_kernel, trial.run_program), _tell)


def check_loaded(graph: Graph, options: Options, program: Program) -> None:
    """At level 2, `program` from the disk must be what `graph` is compiled to, which is checked."""
    if knobs.verify() < _LEVEL_OF_VALUES:
        return
    wanted = pipeline.compile(graph, options, validator())
    if replace(program, name=wanted.name) != wanted:
        raise Miscompiled("cache", f"the program of {graph.name} on disk belongs to something else")


def check_shared(graph: Graph, executable: Executable) -> None:
    """At level 2, `executable`, made for another graph, must compute `graph`."""
    if knobs.verify() < _LEVEL_OF_VALUES:
        return
    from weftc.validate.values import Native, ValueValidator
    from weftrt.cpu import trial

    def run(program: Program, arrays: Sequence[trial.Array]) -> list[trial.Array]:
        given = map(pairs.from_stored, arrays, (spec.dtype for spec in program.inputs))
        return list(map(pairs.as_stored, trial.run_loaded(executable, list(given))))

    values = ValueValidator(Native(program=run), _tell)
    values.begin(pairs.as_real(graph))
    values.program(executable.program, "cache")


def _tell(text: str) -> None:
    say(f"WEFT_VERIFY=2: {text}")
