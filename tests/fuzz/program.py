"""Random programs as data: inputs, instructions, outputs; run over weft, or printed as a script."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from tests.fuzz.reference import complex_numbers, linear_algebra
from tests.fuzz.reference.checks import passes
from tests.fuzz.reference.control import CONTROL
from tests.fuzz.reference.movement import Place
from tests.fuzz.reference.namespace import COMPARISONS, FUNCTIONS, ROWWISE
from tests.fuzz.reference.values import DTYPES, Bounded, Invalid, exactly
from tests.fuzz.transforms import TRANSFORMS

import weft as wf


@dataclass(frozen=True)
class Literal:
    """A scalar that stands in the program's text, as Python's or as NumPy's (`np.float32(2.0)`)."""

    value: bool | int | float
    numpy: str = ""

    @property
    def text(self) -> str:
        return f"np.{self.numpy}({self.value!r})" if self.numpy else repr(self.value)

    @property
    def bounded(self) -> Bounded:
        value = getattr(np, self.numpy)(self.value) if self.numpy else self.value
        return exactly(value, _python_dtype(self.value), weak=True)

    @property
    def compared(self) -> Bounded:
        """As the left side of a comparison: NumPy hands its scalars over as 0-d arrays."""
        own = self.bounded
        return exactly(own.value, np.dtype(self.numpy).name) if self.numpy else own


@dataclass(frozen=True)
class Local:
    """A value of the block around that is `depth` deep, by its number there: parameters first."""

    depth: int
    number: int


Operand: TypeAlias = "int | Local | Literal | None"
"""A value by its number (inputs first, then instructions), a scalar, or an argument left out."""


@dataclass(frozen=True)
class Block:
    """The body of a function that a branch or a loop runs."""

    depth: int
    parameters: int
    instructions: tuple[Instruction, ...]
    outputs: tuple[Operand, ...]

    def mapped(self, change: Callable[[Any], Any]) -> Block:
        instructions = tuple(i.mapped(change) for i in self.instructions)
        return Block(self.depth, self.parameters, instructions, tuple(map(change, self.outputs)))

    def flat(self, count: int) -> tuple[tuple[Instruction, ...], tuple[Any, ...]]:
        """Its instructions and outputs, numbered on from `count` values around it."""

        def number(o: Operand) -> Operand:
            own = isinstance(o, Local) and o.depth == self.depth
            return count + o.number if own else o  # type: ignore[union-attr]

        mapped = self.mapped(number)
        return mapped.instructions, mapped.outputs

    def live(self) -> Block:
        """Without the instructions that no output needs."""
        around = 1 << 20  # more than there are values around
        instructions, outputs = self.flat(around)
        first, needed = around + self.parameters, set(outputs)
        for number, instruction in reversed(list(enumerate(instructions, first))):
            if number in needed:
                needed.update(instruction.sources())
        numbers = range(first, first + len(instructions))
        kept = [*range(around, first), *(n for n in numbers if n in needed)]
        new = {old: Local(self.depth, position) for position, old in enumerate(kept)}
        left = (i for n, i in zip(numbers, instructions) if n in needed)
        block = Block(self.depth, self.parameters, tuple(left), outputs)
        return block.mapped(lambda o: new.get(o, o) if isinstance(o, int) else o)

    def sources(self) -> tuple[int, ...]:
        """The values around it that it reads."""
        inside = (source for i in self.instructions for source in i.sources())
        return (*inside, *(o for o in self.outputs if isinstance(o, int)))


@dataclass(frozen=True)
class Instruction:
    """One call: `name` as in weft, its operands, its literal options, and how it is written."""

    name: str
    operands: tuple[Operand, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    form: str = "function"
    blocks: tuple[Block, ...] = ()

    def sources(self) -> tuple[int, ...]:
        """The values it reads."""
        own = (o for o in self.operands if isinstance(o, int))
        return (*own, *(source for block in self.blocks for source in block.sources()))

    def mapped(self, change: Callable[[Any], Any]) -> Instruction:
        """With `change(operand)` for every operand, in its blocks too."""
        operands, blocks = map(change, self.operands), (b.mapped(change) for b in self.blocks)
        return replace(self, operands=tuple(operands), blocks=tuple(blocks))

    def renumbered(self, numbers: Callable[[int], int]) -> Instruction:
        return self.mapped(lambda o: numbers(o) if isinstance(o, int) else o)

    def parts(self) -> Iterator[Instruction]:
        """It, and those in its blocks."""
        yield self
        for block in self.blocks:
            for instruction in block.instructions:
                yield from instruction.parts()

    def reference(self, values: list[Bounded]) -> Bounded:
        """Its value; Invalid where the program would be refused."""
        operands = [_operand(o, values) for o in self.operands]
        first = self.operands[0] if self.operands else None
        if isinstance(first, Literal) and self.form == "operator" and self.name in COMPARISONS:
            operands[0] = first.compared
        with np.errstate(all="ignore"):
            if self.name in TRANSFORMS:
                return TRANSFORMS[self.name].result(self, operands, values)
            if self.blocks:
                return CONTROL[self.name](self, operands, values)
            if operands and all(o is not None and o.weak for o in operands):
                return scalar_arithmetic(self.name, operands)
            return FUNCTIONS[self.name](*operands, **self.options)

    def text(self, names: list[str]) -> str:
        """As an expression of Python."""
        operands = [_operand_text(o, names) for o in self.operands]
        special = _FORMS.get(self.name, _function)
        return _STYLES.get(self.form, special)(self, operands)

    def lines(self, names: list[str], target: str) -> list[str]:
        """As statements that define `target`."""
        if not self.blocks:
            return [f"{target} = {self.text(names)}"]
        operands = [_operand_text(o, names) for o in self.operands]
        return _control_lines(self, operands, names, target)


def scalar_arithmetic(name: str, operands: list[Any]) -> Bounded:
    """What Python makes of scalars alone: another scalar."""
    functions = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul}
    if name not in functions:
        raise Invalid("scalars alone make no array")
    value = functions[name](*(o.value.item() for o in operands))
    return exactly(value, _python_dtype(value), weak=True)


def _operand(operand: Operand, values: list[Bounded]) -> Bounded | None:
    if isinstance(operand, Literal):
        return operand.bounded
    return None if operand is None else values[operand]


def _operand_text(operand: Operand, names: list[str]) -> str:
    if isinstance(operand, Literal):
        return operand.text
    return "None" if operand is None else names[operand]


def _python_dtype(value: Any) -> str:
    return {bool: "bool", int: "int64", float: "float64"}[type(value)]


# -- text ---------------------------------------------------------------------------------------


def _option(name: str, value: Any) -> str:
    return f"wf.{value}" if name == "dtype" and value in DTYPES else repr(value)


def _options(instruction: Instruction, *without: str) -> list[str]:
    return [f"{k}={_option(k, v)}" for k, v in instruction.options.items() if k not in without]


def _call(name: str, *arguments: str) -> str:
    prefix = "wf.nn." if name in ROWWISE else "wf."
    return f"{prefix}{name}({', '.join(arguments)})"


def _function(instruction: Instruction, operands: list[str]) -> str:
    return _call(instruction.name, *operands, *_options(instruction))


def _method(instruction: Instruction, operands: list[str]) -> str:
    if instruction.name in ("reshape", "astype"):
        options = [_option(k, v) for k, v in instruction.options.items()]
    else:
        options = _options(instruction)
    arguments = ", ".join([*operands[1:], *options])
    return f"{operands[0]}.{instruction.name}({arguments})"


def _property(instruction: Instruction, operands: list[str]) -> str:
    return f"{operands[0]}.{'mT' if instruction.name == 'matrix_transpose' else 'T'}"


SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//",
    "remainder": "%", "pow": "**", "matmul": "@",
    "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^",
    "bitwise_left_shift": "<<", "bitwise_right_shift": ">>", "equal": "==", "not_equal": "!=",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
}  # fmt: skip
PREFIXES = {"negative": "-", "positive": "+", "bitwise_invert": "~"}


def _operator(instruction: Instruction, operands: list[str]) -> str:
    if instruction.name == "abs":
        return f"abs({operands[0]})"
    if instruction.name in PREFIXES:
        return f"{PREFIXES[instruction.name]}{operands[0]}"
    whole = [f"({o})" if o.startswith("-") else o for o in operands]  # -1 ** x is -(1 ** x)
    return f" {SIGNS[instruction.name]} ".join(whole)


def _sequence(instruction: Instruction, operands: list[str]) -> str:
    return _call(instruction.name, f"[{', '.join(operands)}]", *_options(instruction))


def _positional(*names: str) -> Callable[[Instruction, list[str]], str]:
    """A function whose options `names` are written by position."""

    def text(instruction: Instruction, operands: list[str]) -> str:
        first = [_option(n, instruction.options[n]) for n in names if n in instruction.options]
        return _call(instruction.name, *operands, *first, *_options(instruction, *names))

    return text


def _pad(instruction: Instruction, operands: list[str]) -> str:
    width = repr(instruction.options["pad_width"])
    return _call("pad", operands[0], width, f"constant_values={operands[1]}")


def _einsum(instruction: Instruction, operands: list[str]) -> str:
    return _call("einsum", repr(instruction.options["subscripts"]), *operands)


def _power(instruction: Instruction, operands: list[str]) -> str:
    return f"{operands[0]} ** {instruction.options['exponent']!r}"


def _top_k(instruction: Instruction, operands: list[str]) -> str:
    call = _positional("k")
    options = {k: v for k, v in instruction.options.items() if k != "part"}
    text = call(Instruction("top_k", instruction.operands, options), operands)
    return f"{text}[{instruction.options['part']}]"


def _index(instruction: Instruction, operands: list[str]) -> str:
    key = instruction.options["key"]
    items = [_key_text(item, operands[1:]) for item in key]
    return f"{operands[0]}[{', '.join(items) or '()'}{',' if len(items) == 1 else ''}]"


def _key_text(item: Any, arrays: list[str]) -> str:
    if isinstance(item, Place):
        return arrays[item.number]
    if item is Ellipsis:
        return "..."
    if not isinstance(item, slice):
        return repr(item)
    ends = ["" if end is None else str(end) for end in (item.start, item.stop)]
    return ":".join(ends) + ("" if item.step is None else f":{item.step}")


def _prelude(lines: list[str]) -> list[str]:
    """The functions of its own that a program calls."""
    text = "".join(lines)
    return [line for names, own in _PRELUDES if any(f"{n}(" in text for n in names) for line in own]


_CHECKED = [
    "def checked(x, bound):",
    '    wf.debug.check((x <= bound) | (x != x), f"beyond {bound}")',
    "    return x",
    "",
    "",
]
_PRELUDES = (
    (("checked",), _CHECKED),
    (("spread", "flipped", "definite"), linear_algebra.TEXT),
    (("branched", "scanned", "repeated"), complex_numbers.TEXT),
)


def _spectrum(instruction: Instruction, operands: list[str]) -> str:
    options = instruction.options
    whole = _call(
        f"fft.{options['transform']}", *operands, *_options(instruction, "transform", "part")
    )
    return _call(options["part"], whole)


def _linear_algebra(instruction: Instruction, operands: list[str]) -> str:
    made = instruction.options["made"].format(x=operands[0])
    return str(instruction.options["call"].format(a=made, b=operands[-1]))


def _complex_part(instruction: Instruction, operands: list[str]) -> str:
    z = f"wf.complex({', '.join(operands)})"
    other = f"wf.complex({', '.join(reversed(operands))})"
    for step in instruction.options["steps"]:
        z = f"({step.format(z=z, w=other)})"
    return f"wf.{instruction.options['part']}({z})"


def _size(instruction: Instruction, operands: list[str]) -> str:
    return f"{operands[0]}.shape[{instruction.options['axis']}]"


def _checked(instruction: Instruction, operands: list[str]) -> str:
    return f"checked({operands[0]}, {instruction.options['bound']!r})"


_STYLES: dict[str, Callable[[Instruction, list[str]], str]] = {
    "method": _method,
    "operator": _operator,
    "property": _property,
}
_FORMS: dict[str, Callable[[Instruction, list[str]], str]] = {
    "concat": _sequence,
    "stack": _sequence,
    "pad": _pad,
    "einsum": _einsum,
    "index": _index,
    "top_k": _top_k,
    "checked": _checked,
    "complex_part": _complex_part,
    "linear_algebra": _linear_algebra,
    "size": _size,
    "spectrum": _spectrum,
    "literal_power": _power,
    "one_hot": _positional("num_classes"),
    "astype": _positional("dtype"),
    "broadcast_to": _positional("shape"),
    "permute_dims": _positional("axes"),
    "arange": _positional("start", "stop", "step"),
    "linspace": _positional("start", "stop", "num"),
    "full": _positional("shape", "value"),
    "full_like": _positional("fill"),
    "eye": _positional("rows", "columns"),
}


def _control_lines(
    instruction: Instruction, operands: list[str], names: list[str], target: str
) -> list[str]:
    """Functions for the blocks, then the call."""
    functions = [f"{target}f{number}" for number in range(len(instruction.blocks))]
    defined = [
        line
        for name, block in zip(functions, instruction.blocks)
        for line in _definition(instruction, name, block, names)
    ]
    if instruction.name in TRANSFORMS:
        transform = TRANSFORMS[instruction.name]
        defined += transform.before(functions[0])
        call = transform.call(instruction.options, functions[0], operands)
    elif instruction.name == "cond":
        call = _call("cond", *operands, *functions)
    elif instruction.name == "switch":
        call = _call("switch", *operands, f"[{', '.join(functions)}]")
    elif instruction.name == "fori_loop":
        state = f"({', '.join(operands[2:])},)"
        call = _call("fori_loop", *operands[:2], *functions, state)
        call += f"[{instruction.options['part']}]"
    elif instruction.name == "scan":
        call = _scan(instruction, functions[0], operands)
    else:
        call = _call("while_loop", *functions, f"(0, {', '.join(operands)},)")
        call += f"[{1 + instruction.options['part']}]"
    return [*defined, f"{target} = {call}"]


def _scan(instruction: Instruction, function: str, operands: list[str]) -> str:
    carried, options = instruction.options["carried"], instruction.options
    unrolled = [f"unroll={options['unroll']}"] if "unroll" in options else []
    state, stacks = (f"({', '.join(some)},)" for some in (operands[:carried], operands[carried:]))
    call = _call("scan", function, state, stacks, f"reverse={options['reverse']}", *unrolled)
    return f"{call}[1]" if options["part"] == carried else f"{call}[0][{options['part']}]"


def _definition(instruction: Instruction, name: str, block: Block, names: list[str]) -> list[str]:
    """The function of a block. Loops pass their state as a tuple, `fori_loop` a counter before, and
    `scan` a tuple of rows after it, of which a y is returned."""
    control = instruction.name
    parameters = [f"{name}p{number}" for number in range(block.parameters)]
    counters = parameters[:1] if control == "fori_loop" else []
    state = parameters[len(counters) : instruction.options.get("carried")]
    rows = parameters[len(counters) + len(state) :]
    head = [*counters, *(["state"] if state else []), *(["rows"] if rows else [])]
    is_plain = control in ("cond", "switch") or control in TRANSFORMS
    lines = [f"def {name}({', '.join(parameters if is_plain else head)}):"]
    for word, some in (("state", state), ("rows", rows)):
        if some and not is_plain:
            lines.append(f"    {', '.join(some)}, = {word}")
    instructions, outputs = block.flat(len(names))
    inside = [*names, *parameters]
    for number, instruction in enumerate(instructions):
        inside.append(f"{name}v{number}")
        lines += [f"    {line}" for line in instruction.lines(inside[:-1], inside[-1])]
    results = [_operand_text(o, inside) for o in outputs]
    single = is_plain or (name.endswith("f0") and control == "while_loop")
    if control == "scan":
        lines.append(f"    return ({', '.join(results[:-1])},), {results[-1]}")
    else:
        lines.append(f"    return {results[0] if single else ', '.join(results) + ','}")
    return lines


# -- programs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """An argument: `sample` repeated over `shape` in `dtype`, or a Python scalar. What is
    `captured` is a global name instead; `strided` is laid out column by column."""

    dtype: str
    shape: tuple[int, ...]
    sample: tuple[bool | int | float, ...]
    scalar: bool = False
    captured: bool = False
    strided: bool = False

    @property
    def argument(self) -> Any:
        """What the program is called with."""
        if self.scalar:
            return self.sample[0]
        if 0 in self.shape:
            return np.zeros(self.shape, self.dtype)
        with np.errstate(all="ignore"):
            array = np.resize(np.array(self.sample, self.dtype), self.shape)
        return np.asfortranarray(array) if self.strided else array

    @property
    def bounded(self) -> Bounded:
        return exactly(self.argument, self.dtype, weak=self.scalar)

    @property
    def text(self) -> str:
        if self.scalar:
            return repr(self.sample[0])
        if 0 in self.shape:
            return f"wf.zeros({self.shape}, dtype=wf.{self.dtype})"
        sample = self.sample[: max(int(np.prod(self.shape)), 1)]
        items = ", ".join(map(repr, sample))
        array = f"np.array([{items}], np.{_numpy_name(self.dtype)})"
        array = f"np.resize({array}, {self.shape})"
        return f"np.asfortranarray({array})" if self.strided else f"wf.asarray({array})"


def _numpy_name(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


@dataclass(frozen=True)
class Program:
    """A function of `inputs`. With `argnums` its first output is a scalar, and what runs is its
    value and gradient; with `second`, the gradient of a scalar made of that gradient."""

    inputs: tuple[Input, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    argnums: tuple[int, ...] = ()
    second: bool = False

    def arguments(self) -> list[Any]:
        return [i.argument for i in self.inputs if not i.captured]

    def names(self) -> list[str]:
        """x0, x1, ... for the inputs, then v2, v3, ..."""
        count = len(self.inputs)
        rest = range(count, count + len(self.instructions))
        return [f"x{i}" for i in range(count)] + [f"v{i}" for i in rest]

    def values(self) -> list[Bounded]:
        """The reference value of every input and instruction; Invalid if one is refused."""
        found = [i.bounded for i in self.inputs]
        for instruction in self.instructions:
            found.append(instruction.reference(found))
        self._check(found)
        return found

    def failure(self) -> str | None:
        """What the first check that fails says."""
        values = self.values()
        for instruction in self.instructions:
            if instruction.name == "checked":
                bound = instruction.options["bound"]
                if not passes(values[instruction.sources()[0]], bound):
                    return f"beyond {bound}"
        return None

    def has_effects(self) -> bool:
        """Whether a check is among the instructions."""
        return any(p.name == "checked" for i in self.instructions for p in i.parts())

    def _check(self, found: list[Bounded]) -> None:
        if any(found[o].weak for o in self.outputs) or not self.outputs:
            raise Invalid("a scalar is no result")
        if self.argnums and (found[self.outputs[0]].shape or not found[self.outputs[0]].is_float):
            raise Invalid("a gradient is of a scalar")

    def text(self) -> str:
        """The definition of `program`, and of `run` where that is its gradient."""
        names = self.names()
        lines = [f"def program({self._parameters(names)}):"]
        for position, instruction in enumerate(self.instructions, len(self.inputs)):
            made = instruction.lines(names[:position], names[position])
            lines += [f"    {line}" for line in made]
        lines.append(f"    return {', '.join(names[o] for o in self.outputs)}")
        return "\n".join([*_prelude(lines), *lines, "", "", *self._run_lines(names), ""])

    def _parameters(self, names: list[str]) -> str:
        return ", ".join(n for n, i in zip(names, self.inputs) if not i.captured)

    def _run_lines(self, names: list[str]) -> list[str]:
        if not self.argnums:
            return ["run = program"]
        if not self.second:
            return [f"run = wf.value_and_grad(program, argnums={self.argnums})"]
        arguments = self._parameters(names)
        return [
            f"def slope({arguments}):",
            f"    gradients = wf.grad(program, argnums={self.argnums})({arguments})",
            "    return sum(wf.sum(wf.sin(g)) for g in gradients)",
            "",
            "",
            f"run = wf.value_and_grad(slope, argnums={self.argnums})",
        ]

    def captured(self) -> dict[str, Any]:
        """The global arrays, by name."""
        given = enumerate(self.inputs)
        return {f"x{number}": wf.asarray(i.argument) for number, i in given if i.captured}

    def rebound(self) -> Program:
        """The same program, its global names bound to other arrays of the same types."""
        inputs = (
            replace(i, sample=(*i.sample[1:], *i.sample[:1])) if i.captured else i
            for i in self.inputs
        )
        return replace(self, inputs=tuple(inputs))

    def has_transforms(self) -> bool:
        """Whether a piece of it is under a transform."""
        return any(p.name in TRANSFORMS for i in self.instructions for p in i.parts())

    def module(self, weft: Any = wf) -> dict[str, Any]:
        """The globals of the program, where `weft` is `wf`; `run` is the program, or its gradient,
        as a function."""
        space = {"wf": weft, "np": np, "nan": np.nan, "inf": np.inf, **self.captured()}
        exec(compile(self.text(), "<random program>", "exec"), space)
        return space

    def script(self) -> str:
        """A program of its own that prints what each way of running gives."""
        inputs = [f"x{i} = {x.text}" for i, x in enumerate(self.inputs)]
        arguments = self._parameters(self.names())
        return "\n".join([
            "import numpy as np",
            "from tests.frontend import staged",
            "",
            "import weft as wf",
            "",
            "nan, inf = np.nan, np.inf",
            *inputs,
            "",
            "",
            self.text(),
            f'print("compiled   ", wf.jit(run)({arguments}))',
            f'print("eager      ", run({arguments}))',
            f'print("interpreter", staged.run(run, {arguments}))',
            "",
        ])  # fmt: skip
