"""A function whose derivative is written by the user, and a call of it within a trace."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import CellType, FunctionType
from typing import Any, NoReturn

from weft import diagnostics, tree
from weft.bodies import Argument, trace_body
from weft.tracing import OPERANDS, Tracer, active, follow, lift, results
from weft.transforms.arguments import grouped
from weft.tree import Structure
from weftc.ir.node import Graph, Node
from weftc.ir.types import ValueType
from weftc.ops import TABLE, build
from weftc.transforms.rules import ReverseRule, Rule
from weftrt.errors import TraceError, UsageError

Function = Callable[..., Any]


class Custom:
    """A function, and the user's rules for it by what they are called."""

    name: str
    called: Function

    def __init__(self, function: Function, numbers: tuple[int, ...]) -> None:
        self.function = function
        self.of = getattr(function, "__name__", "the function")
        self.cells: dict[str, CellType] = {}
        """Where rules are held: guards look there whether they are still the same."""
        self._numbers = numbers

    def definitions(self) -> dict[str, Function]:
        """What the user's function gets as attributes: they take the rules."""
        raise NotImplementedError

    def rule(self, call: Call, operands: int) -> Rule:
        """The rule of a call."""
        raise NotImplementedError

    @property
    def rules(self) -> dict[str, Function]:
        """The rules by what they are called."""
        return {name: cell.cell_contents for name, cell in self.cells.items()}

    def hold(self, **rules: Function) -> None:
        """Let these be the rules, in the place of others."""
        for name, rule in rules.items():
            self.cells.setdefault(name, CellType()).cell_contents = rule

    def check(self) -> None:
        """UsageError if there are no rules yet."""
        if not self.cells:
            how = next(iter(self.definitions()))
            problem = f"{self.name}: {self.of} has no rule yet; {self.of}.{how}(...) gives it one"
            raise diagnostics.located(UsageError, problem)

    def positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults among them."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # it does not say
            return args
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise diagnostics.as_intended(TypeError(f"{self.of}() {error}")) from None
        bound.apply_defaults()
        if bound.kwargs:
            problem = f"{self.name}: {self.of} takes {next(iter(bound.kwargs))!r} by keyword only"
            raise diagnostics.located(UsageError, f"{problem}; rules get arguments by position")
        return bound.args

    def places(self, count: int) -> list[int]:
        """The arguments that have derivatives, of so many; UsageError if there are too few."""
        for number in self._numbers:
            if not -count <= number < count:
                problem = f"{self.name}: nondiff_argnums names argument {number} of {self.of}"
                raise diagnostics.located(UsageError, f"{problem}, which was given {count}")
        fixed = {number % count for number in self._numbers}
        return [place for place in range(count) if place not in fixed]


class Call:
    """One call of a custom function within a trace. The operands of its node are the leaves of the
    arguments, a token if the function has effects, and what it and its rules read from outside."""

    def __init__(self, custom: Custom, args: tuple[Any, ...]) -> None:
        self.custom = custom
        self.places = custom.places(len(args))
        self.structures: list[Structure] = []
        self.names: list[str] = []
        self.fixed = {p: arg for p, arg in enumerate(args) if p not in self.places}
        self._leaves: list[Tracer] = []
        for place in self.places:
            found, structure = tree.flatten_with_paths(args[place])
            self.structures.append(structure)
            self._leaves += [self._leaf(place, path, leaf) for path, leaf in found]
        self.weak = [leaf.weak for leaf in self._leaves]
        self.leaf_types = [leaf.type for leaf in self._leaves]
        self.held: dict[Node, int | Node] = {}
        """What stands for a value of outside: the number of an operand, or a constant."""

    def _leaf(self, place: int, path: str, leaf: Any) -> Tracer:
        self.names.append(f"argument {place}{path}")
        if not isinstance(leaf, OPERANDS):
            problem = f"{self.custom.name}: {self.names[-1]} of {self.custom.of} is "
            problem += f"{diagnostics.kind_of(leaf)}; nondiff_argnums={place} is for arguments "
            raise diagnostics.located(TraceError, f"{problem}that are no arrays or numbers")
        return lift(leaf)

    def args(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments, with these leaves."""
        given = dict(zip(self.places, grouped(leaves, self.structures))) | self.fixed
        return tuple([given[place] for place in sorted(given)])

    def run(self) -> Any:
        """The result, from a node that knows the rule."""
        custom, captures = self.custom, dict[Node, int]()
        types = [Argument(n, x.type, x.weak) for n, x in zip(self.names, self._leaves)]
        body = trace_body(custom.of, custom.function, types, self.args, captures)
        self.structure, effects = body.structure, body.has_effects
        self._capture(captures, len(types) + effects)
        outputs = body.converted([leaf.dtype for leaf in body.leaves])
        self.types = [output.type for output in outputs]
        outputs += [body.trace.last_token()] if effects else []
        token = [active().last_token()] if effects else []
        outside = [_refused(node, custom) for node in captures]
        operands = (*(leaf.node for leaf in self._leaves), *token, *outside)
        self.operands, self._outside = len(operands), len(outside)
        del self._leaves
        graph, rule = body.closed(outputs, captures, effects), custom.rule(self, len(operands))
        node = TABLE["call"](*operands, body=graph, rule=rule, instead=None)
        if effects:
            follow(node)
        pairs = zip(results(node), body.leaves, strict=True)
        return self.structure.unflatten([Tracer(r.node, active(), x.weak) for r, x in pairs])

    def parted(self, inputs: Sequence[Node]) -> tuple[Node | None, Sequence[Node]]:
        """The token among inputs that stand for the operands, and those from outside."""
        token = next((node for node in inputs if not node.is_tensor), None)
        return token, inputs[len(inputs) - self._outside :]

    def _capture(self, captures: dict[Node, int], first: int) -> None:
        """Let what the functions close over be operands, for rules to read."""
        for function in (self.custom.function, *self.custom.rules.values()):
            for tracer in _closed_over(function, set()):
                node = tracer.node
                is_constant = not node.inputs and node.op.name != "input"
                number = None if is_constant else captures.setdefault(node, len(captures))
                self.held[tracer.made] = node if number is None else first + number


def _closed_over(value: Any, seen: set[int]) -> Iterator[Tracer]:
    """The traced values in the closures of a function, and of functions in these."""
    if not isinstance(value, FunctionType) or id(value) in seen:
        return
    seen.add(id(value))
    for cell in value.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # it is bound later
            continue
        for leaf in tree.leaves(content):
            if isinstance(leaf, Tracer) and leaf.is_open:
                yield leaf
            yield from _closed_over(leaf, seen)


def _refused(node: Node, custom: Custom) -> Node:
    """`node`, without a derivative: what is no argument has no part in a rule."""
    if not node.type.dtype.is_inexact:
        return node
    at = diagnostics.user_location()

    def refuse(types: Sequence[ValueType]) -> NoReturn:
        problem = f"{custom.name}: {custom.of} reads a value from around it that the derivative "
        problem += "is taken of, which its rule says nothing of; make it an argument, or read "
        raise diagnostics.located(TraceError, f"{problem}wf.stop_gradient of it", at)

    x = build.argument(0, "x", node.type)
    rule = ReverseRule(named_after(custom.of, refuse), 1)
    guard = TABLE["call"](node, body=Graph("outside", (x,), (x,)), rule=rule, instead=None)
    return TABLE["project"](guard, index=0)


def named_after(name: str, function: Function) -> Function:
    """`function`, called as the user's."""

    def named(types: Sequence[ValueType]) -> Any:
        return function(types)

    named.__qualname__ = name
    return named
