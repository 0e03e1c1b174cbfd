"""The text of one LLVM function while it is written: values, blocks, names, declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from weftc.codegen.llvm import text
from weftc.codegen.llvm.addresses import Linear, Terms
from weftc.loop.ir import Expr, LoopType, Var
from weftrt.errors import CompileError
from weftrt.target import Target


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name of the loop IR is in LLVM: an operand, and its type there; the value that a Let
    gave it; and what an integer is in terms of other operands."""

    operand: str
    type: str
    value: Expr | None = None
    linear: Linear | None = None


@dataclass(frozen=True, slots=True)
class LoopPlace:
    """A loop under way: the open line before it, and the number of its first value."""

    line: int
    first: int
    starts: dict[tuple[str, Terms], str] = field(default_factory=dict)
    """Addresses computed before the loop, by buffer and terms."""

    def varies(self, operand: str) -> bool:
        """Whether an operand is computed in the loop: such have numbers."""
        return operand[1:].isdigit() and int(operand[1:]) >= self.first


@dataclass
class FunctionWriter:
    """Lines of one function. Values are numbered as LLVM numbers them, so only blocks, parameters
    and what the entry block holds have names. `outer` is the function that a parallel body was cut
    from: a name looked up here and found there becomes a captured value."""

    target: Target
    declarations: dict[str, str]
    environment: dict[str, Binding]
    outer: FunctionWriter | None = None
    entry: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    captured: dict[str, Binding] = field(default_factory=dict)
    anchors: dict[tuple[str, Terms], tuple[str, int]] = field(default_factory=dict)
    """Addresses at hand, by buffer and terms of their index: a pointer, and its constant."""
    loop: LoopPlace | None = None
    block: str = "entry"
    _values: int = 0
    _labels: int = 0
    _inserted: int = 0

    # -- names ----------------------------------------------------------------------------------

    def lookup(self, name: str) -> Binding:
        """The binding of `name`, captured from the outer function on first use."""
        found = self.environment.get(name) or self.captured.get(name)
        if found is None:
            if self.outer is None:
                raise KeyError(name)
            found = self._capture(name, self.outer.lookup(name))
        return found

    def _capture(self, name: str, outside: Binding) -> Binding:
        if outside.type.startswith("<"):
            raise CompileError(f"the vector {name} cannot enter a parallel loop")
        slot = len(self.captured)
        binding = Binding(f'%"{name}"', outside.type)
        self.entry.append(
            f"  %.slot.{slot} = getelementptr [64 x i8], ptr %.context, i64 {slot}\n"
            f"  {binding.operand} = load {outside.type}, ptr %.slot.{slot}"
        )
        self.captured[name] = binding
        return binding

    def definition(self, var: Var) -> Expr | None:
        """What a Let of this function gave to `var`."""
        found = self.environment.get(var.name)
        return None if found is None else found.value

    # -- values ---------------------------------------------------------------------------------

    def value(self, instruction: str) -> str:
        """Append an instruction; the number of its result."""
        name = f"%{self._values}"
        self._values += 1
        self.lines.append(f"  {name} = {instruction}")
        return name

    def effect(self, instruction: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def placeholder(self) -> tuple[str, int]:
        """A result whose instruction `fill` writes later (a phi of a value not known yet)."""
        name = self.value("")
        return name, len(self.lines) - 1

    def fill(self, name: str, line: int, instruction: str) -> None:
        self.lines[line] = f"  {name} = {instruction}"

    def call(self, name: str, result: str, operands: Sequence[tuple[str, str]]) -> str:
        """Call an external function or intrinsic; the result, "" for void."""
        self.declare(name, result, [type_ for type_, _ in operands])
        arguments = ", ".join(f"{type_} {operand}" for type_, operand in operands)
        call = f"call {result} @{name}({arguments})"
        if result == "void":
            self.effect(call)
            return ""
        return self.value(call)

    def intrinsic(
        self, name: str, result: str, operands: Sequence[tuple[str, str]], *overloads: LoopType
    ) -> str:
        """Call an intrinsic whose name is completed by the types it is overloaded on."""
        for type_ in overloads:
            name = f"{name}.{text.mangled(text.REGISTER[type_.dtype], type_.lanes)}"
        return self.call(name, result, operands)

    def declare(self, name: str, result: str, parameters: Sequence[str]) -> None:
        if name not in self.declarations:
            self.declarations[name] = f"declare {result} @{name}({', '.join(parameters)})"

    def open_line(self) -> int:
        """A line that may be written to later on (`insert`)."""
        self.lines.append("")
        return len(self.lines) - 1

    def insert(self, line: int, instruction: str) -> str:
        """Append an instruction to an open line; its result has a name."""
        name = f"%at.{self._inserted}"
        self._inserted += 1
        written = f"  {name} = {instruction}"
        self.lines[line] += f"\n{written}" if self.lines[line] else written
        return name

    @contextmanager
    def looping(self, line: int) -> Iterator[None]:
        """Meanwhile what is written belongs to a loop behind the open `line`."""
        outer, self.loop = self.loop, LoopPlace(line, self._values)
        with self.scope():
            yield
        self.loop = outer

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What gets a name or an address meanwhile is not known after it."""
        environment, anchors = self.environment.copy(), self.anchors.copy()
        yield
        self.environment, self.anchors = environment, anchors

    # -- blocks ---------------------------------------------------------------------------------

    def label(self, name: str) -> str:
        """A fresh block label."""
        self._labels += 1
        return f"{name}.{self._labels}"

    def start(self, label: str) -> None:
        """Begin the block `label`."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        self.effect(f"br label %{label}")

    def branch(self, condition: str, then: str, otherwise: str) -> None:
        self.effect(f"br i1 {condition}, label %{then}, label %{otherwise}")

    # -- vectors --------------------------------------------------------------------------------

    def by_pieces(
        self,
        source: str,
        target: str,
        lanes: int,
        width: int,
        args: Sequence[str],
        piece: Callable[[list[str]], str],
    ) -> str:
        """Apply `piece` to `width` lanes of `args` (elements of type `source`) at a time and join
        the results (elements of type `target`): for intrinsics of one machine width."""
        if lanes == width:
            return piece(list(args))
        whole = text.lanes_of(source, lanes)
        results = []
        for start in range(0, lanes, width):
            mask = text.shuffle_mask(start, width)
            parts = [
                self.value(f"shufflevector {whole} {arg}, {whole} poison, {mask}") for arg in args
            ]
            results.append(piece(parts))
        while len(results) > 1:
            part = text.lanes_of(target, width)
            mask = text.shuffle_mask(0, 2 * width)
            results = [
                self.value(f"shufflevector {part} {low}, {part} {high}, {mask}")
                for low, high in zip(results[::2], results[1::2], strict=True)
            ]
            width *= 2
        return results[0]

    def render(self, signature: str) -> str:
        """The whole function."""
        lines = filter(None, self.lines)  # open ones may be empty
        return "\n".join((f"{signature} {{", "entry:", *self.entry, *lines, "}"))
