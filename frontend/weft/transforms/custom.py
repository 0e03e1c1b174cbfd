"""`weft.custom_vjp` and `weft.custom_jvp`: functions whose derivative is written by the user.

    @wf.custom_vjp
    def log1pexp(x):
        return wf.log1p(wf.exp(x))

    def forward(x):
        return log1pexp(x), x

    def backward(x, g):
        return (g * wf.sigmoid(x),)

    log1pexp.defvjp(forward, backward)

A call within a trace becomes one node, which transforms see and kernels do not:

    %1 = call(%x) {log1p(exp(%x))} by the rule of log1pexp

Reverse mode asks the rule for graphs, which traces `forward` and `backward` for the types of the
operands, once in a trace. `forward` calls log1pexp, so its graph has a call in turn, and the next
derivative asks the same rule again. The pullback of %1 at the cotangent %g is

    %2 = call(%x) {log1p(exp(%x)), %x}  instead of %1
    %3 = mul(%g, sigmoid(%x))

and when all transforms are done, `inline_calls` puts bodies in the place of calls: what forward
computed in the place of both. Forward mode transposes %3 (weftc.transforms.rules); a map has the
rule mapped; and a gradient of a gradient differentiates `forward` and `backward` as they are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CellType, FunctionType
from typing import Any, NoReturn

from weft import diagnostics, tree
from weft.bodies import Argument, fits, trace_body
from weft.promotion import convert
from weft.tracing import (
    OPERANDS,
    Trace,
    Tracer,
    active,
    call_function,
    entered,
    follow,
    lift,
    results,
    state,
)
from weft.transforms.arguments import Numbers, check_function, grouped, plain_numbers
from weft.transforms.traced import zeros
from weft.tree import Structure
from weftc.ir.node import Graph, Node, toposort
from weftc.ir.types import TensorType, ValueType
from weftc.ops import TABLE, build
from weftc.ops.check import describe, same_sizes
from weftc.transforms.rules import ForwardRule, Push, Reverse, ReverseRule, Rule, arguments
from weftc.transforms.vjp import has_slopes
from weftrt.errors import DTypeError, ShapeError, TraceError, UsageError, WeftError

Function = Callable[..., Any]


def custom_vjp(function: Function | None = None, /, *, nondiff_argnums: Numbers = ()) -> Any:
    """`function` with a gradient of its own: `f.defvjp(forward, backward)` gives it.

    `forward` takes what `function` takes and returns (its result, residuals): any tree of arrays,
    and whatever else `backward` should see. `backward(residuals, cotangent)` returns a tuple with
    one cotangent per argument, like the argument, or None where it is zero. Arguments numbered
    `nondiff_argnums` may be anything; `backward` takes them first, and gives none for them.

    One of `function` and `forward` runs, never both: `forward` where a gradient needs what it
    computes. Rules are differentiated in turn by gradients of gradients. Forward mode (jvp, jacfwd,
    hessian) transposes `backward`, which has to be linear in the cotangent for it (TraceError).

    UsageError, ShapeError or DTypeError, with the path and the line of the rule, where it returns
    something else. There is no derivative with respect to traced values that `function` reads from
    around it (TraceError): they have to be arguments.
    """
    return _decorated(_Vjp, function, nondiff_argnums)


def custom_jvp(function: Function | None = None, /, *, nondiff_argnums: Numbers = ()) -> Any:
    """`function` with a tangent of its own: `f.defjvp(rule)` gives it.

    `rule(primals, tangents)` takes two tuples, with one entry per argument, and returns (the
    result, its tangent). Arguments numbered `nondiff_argnums` may be anything; `rule` takes them
    first. `f.defjvps(*rules)` has one `rule(tangent, result, *arguments)` per argument instead, or
    None, whose sum is the tangent.

    Both modes use the rule, which has to be linear in the tangents: reverse mode transposes it.
    Raises what `custom_vjp` does.
    """
    return _decorated(_Jvp, function, nondiff_argnums)


def _decorated(kind: type[_Custom], function: Function | None, nondiff_argnums: Numbers) -> Any:
    plain = plain_numbers(nondiff_argnums)
    numbers = (plain,) if isinstance(plain, int) else plain
    if function is None:
        return functools.partial(_custom, kind, numbers)
    return _custom(kind, numbers, function)


def _custom(kind: type[_Custom], numbers: tuple[int, ...], function: Function) -> Function:
    check_function(kind.name, function)
    custom = kind(function, numbers)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        custom.check()
        given = custom.positional(args, kwargs)
        if state.trace is None:
            return call_function(function, *given)
        return _Call(custom, given).run()

    custom.called = called
    for name, define in custom.definitions().items():
        setattr(called, name, define)
    called.derivative_rules = custom.cells  # type: ignore[attr-defined]
    return called


# ---------------------------------------------------------------------------------------------
# Functions and their rules
# ---------------------------------------------------------------------------------------------


class _Custom:
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

    def rule(self, call: _Call, operands: int) -> Rule:
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


class _Vjp(_Custom):
    name = "custom_vjp"

    def definitions(self) -> dict[str, Function]:
        return {"defvjp": self._defvjp}

    def _defvjp(self, forward: Function, backward: Function) -> None:
        """Let `forward` and `backward` be the rules for reverse mode."""
        for function in (forward, backward):
            check_function(f"{self.of}.defvjp", function)
        self.hold(forward=forward, backward=backward)

    def rule(self, call: _Call, operands: int) -> Rule:
        return ReverseRule(_named(self.of, _Reverse(call, self.rules).of), operands)


class _Jvp(_Custom):
    name = "custom_jvp"

    def definitions(self) -> dict[str, Function]:
        return {"defjvp": self._defjvp, "defjvps": self._defjvps}

    def _defjvp(self, rule: Function) -> Function:
        """Let `rule` be the rule for both modes; it is given back."""
        check_function(f"{self.of}.defjvp", rule)
        self.hold(rule=rule)
        return rule

    def _defjvps(self, *rules: Function | None) -> None:
        """Let the tangent be the sum of those of each argument."""

        def rule(*given: Any) -> tuple[Any, Any]:
            *fixed, primals, tangents = given
            result = self.called(*primals) if not fixed else None
            if fixed or len(rules) != len(primals):
                problem = f"{self.of}.defjvps has {len(rules)} rules for {len(primals)} arguments"
                raise diagnostics.located(UsageError, problem)
            pairs = zip(rules, tangents)
            parts = [part(t, result, *primals) for part, t in pairs if part is not None]
            return result, functools.reduce(lambda a, b: tree.map(_sum, a, b), parts or [None])

        for part in rules:
            if part is not None:
                check_function(f"{self.of}.defjvps", part)
        self.hold(rule=rule, **{f"rule {k}": r for k, r in enumerate(rules) if r})

    def rule(self, call: _Call, operands: int) -> Rule:
        return ForwardRule(_named(self.of, _Forward(call, self.rules).of), operands)


def _sum(a: Any, b: Any) -> Any:
    return lift(a) + lift(b)


def _named(name: str, function: Function) -> Function:
    """`function`, called as the user's."""

    def named(types: Sequence[ValueType]) -> Any:
        return function(types)

    named.__qualname__ = name
    return named


# ---------------------------------------------------------------------------------------------
# A call
# ---------------------------------------------------------------------------------------------


class _Call:
    """One call of a custom function within a trace. The operands of its node are the leaves of the
    arguments, a token if the function has effects, and what it and its rules read from outside."""

    def __init__(self, custom: _Custom, args: tuple[Any, ...]) -> None:
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


def _refused(node: Node, custom: _Custom) -> Node:
    """`node`, without a derivative: what is no argument has no part in a rule."""
    if not node.type.dtype.is_inexact:
        return node
    at = diagnostics.user_location()

    def refuse(types: Sequence[ValueType]) -> NoReturn:
        problem = f"{custom.name}: {custom.of} reads a value from around it that the derivative "
        problem += "is taken of, which its rule says nothing of; make it an argument, or read "
        raise diagnostics.located(TraceError, f"{problem}wf.stop_gradient of it", at)

    x = build.argument(0, "x", node.type)
    rule = ReverseRule(_named(custom.of, refuse), 1)
    guard = TABLE["call"](node, body=Graph("outside", (x,), (x,)), rule=rule, instead=None)
    return TABLE["project"](guard, index=0)


# ---------------------------------------------------------------------------------------------
# Rules as graphs
# ---------------------------------------------------------------------------------------------


class _RuleTrace(Trace):
    """The run of a rule, whose graph is closed but for arrays. `held` are the nodes that stand in
    it for values of outside; effects follow `token`."""

    def __init__(self, name: str, held: Mapping[Node, Node], token: Node | None, hint: str) -> None:
        super().__init__(name, 0)
        self._parent = active()
        self._held = held
        self.token = token
        self._hint = hint

    def last_token(self) -> Node:
        if self.token is None:
            problem = f"{self.name} has an effect (a print, check or callback), {self._hint}"
            raise diagnostics.located(TraceError, problem)
        return self.token

    def knows(self, tracer: Tracer) -> bool:
        return True

    def node_of(self, tracer: Tracer) -> Node:
        found = tracer.made if tracer.is_of(self) else self._held.get(tracer.made)
        if found is None:
            problem = f"{self.name} reads a traced value from around it ({tracer.made.type}); "
            problem += "make it an argument, or a residual"
            raise diagnostics.located(TraceError, problem)
        return found

    def note_numpy(self) -> None:
        self._parent.note_numpy()

    def capture(self, array: Any) -> Node:
        return self._parent.capture(array)


class _Graphs:
    """The rules of one call, traced when they are asked for."""

    def __init__(self, call: _Call, rules: Mapping[str, Function]) -> None:
        self._call = call
        self._rules = dict(rules)
        self._made: dict[Any, Any] = {}

    def of(self, types: Sequence[ValueType]) -> Any:
        """The rules for operands of these types, traced once in a trace."""
        key = active(), tuple(types)
        if key not in self._made:
            self._made[key] = self._traced(types)
        return self._made[key]

    def _traced(self, types: Sequence[ValueType]) -> Any:
        raise NotImplementedError

    def _trace(self, role: str, outside: Sequence[Node], token: Node | None) -> _RuleTrace:
        """A trace for a rule: `outside` stand for the operands that are no arguments."""
        call = self._call
        first = call.operands - len(outside)
        held = {n: p if isinstance(p, Node) else outside[p - first] for n, p in call.held.items()}
        return _RuleTrace(self._name(role), held, token, f"which {call.custom.of} has not")

    def _name(self, role: str) -> str:
        name: str = getattr(self._rules[role], "__name__", role)
        return role if name == "<lambda>" else name

    def _leaves(self, inputs: Sequence[Node], trace: Trace) -> list[Tracer]:
        """The leaves of the arguments, in a trace of a rule."""
        return [Tracer(n, trace, weak) for n, weak in zip(inputs, self._call.weak)]

    # -- what rules return ------------------------------------------------------------------------

    def _wrong(self, kind: type[WeftError], role: str, problem: str) -> WeftError:
        at = diagnostics.definition(self._rules[role])
        problem = f"{self._call.custom.of}: {self._name(role)} {problem}"
        return diagnostics.located(kind, problem, at)

    def _pair(self, role: str, second: str, result: Any) -> tuple[Any, Any]:
        if isinstance(result, (tuple, list)) and len(result) == 2:
            return result[0], result[1]
        problem = f"returns {_text(result)}, not a pair of the result and {second}"
        raise self._wrong(UsageError, role, problem)

    def _result(self, role: str, value: Any) -> list[Node]:
        """The leaves of a result, which is like that of the function."""
        leaves = self._like(role, self._call.structure, value, "the result")
        pairs = zip(leaves, self._call.types, strict=True)
        return [self._leaf(role, what, leaf, type_) for (what, leaf), type_ in pairs]

    def _leaf(self, role: str, what: str, leaf: Any, type_: TensorType) -> Node:
        """A leaf of this type; an error where it has another."""
        if not isinstance(leaf, OPERANDS):
            problem = f"gives {_text(leaf)} as {what}, which is {describe(type_)}"
            raise self._wrong(UsageError, role, problem)
        value = lift(leaf)
        is_shaped = same_sizes(value.type.shape, type_.shape)
        if not is_shaped or not fits(value, type_.dtype):
            problem = f"gives {describe(value.type)} as {what}, which is {describe(type_)}"
            raise self._wrong(DTypeError if is_shaped else ShapeError, role, problem)
        return convert(value, type_.dtype).node

    def _slope(self, role: str, what: str, leaf: Any, type_: TensorType) -> Node:
        """A cotangent or a tangent of what has this type; zeros where there is none."""
        return zeros(type_).node if leaf is None else self._leaf(role, what, leaf, type_)

    def _like(
        self, role: str, structure: Structure, given: Any, what: str, may_lack: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """The leaves of a tree of this structure, and what each is; None for those of a part that
        is None where one may be left out."""
        if structure.kind is None or (given is None and may_lack):
            yield from [(what, given)] * structure.leaves()
            return
        fits_kind = type(given) is structure.kind
        keys, children, _ = tree.rules_of(structure.kind).split(given) if fits_kind else ((), (), 0)
        if not fits_kind or keys != structure.keys:
            problem = f"gives {_text(given)} as {what}, which is {structure}"
            raise self._wrong(UsageError, role, problem)
        for key, child, part in zip(keys, structure.children, children, strict=True):
            yield from self._like(role, child, part, f"{what}[{key!r}]", may_lack)


class _Reverse(_Graphs):
    """The rules for reverse mode."""

    def _traced(self, types: Sequence[ValueType]) -> Reverse:
        inputs, name = arguments(types), self._call.custom.of
        token, outside = self._call.parted(inputs)
        trace = self._trace("forward", outside, token)
        with entered(trace):
            args = self._call.args(self._leaves(inputs, trace))
            result = call_function(self._rules["forward"], *args)
            value, residuals = self._pair("forward", "residuals", result)
            outputs = self._result("forward", value)
            leaves, structure = tree.flatten(residuals)
            nodes = [leaf.node for leaf in leaves if isinstance(leaf, Tracer)]
        outputs += [] if trace.token is None else [trace.token]
        forward = Graph(name, tuple(inputs), (*outputs, *nodes, *outside))
        held = arguments([node.value_type for node in (*nodes, *outside)])
        gs = [build.argument(0, "cotangent", t) for t in self._call.types if t.dtype.is_inexact]
        sent = self._sent(leaves, structure, held, gs)
        floats = [zeros_of(node) for node in outside if has_slopes(node)]
        return Reverse(len(outputs), forward, Graph(name, (*held, *gs), (*sent, *floats)))

    def _sent(
        self, leaves: Sequence[Any], structure: Structure, held: Sequence[Node], gs: Sequence[Node]
    ) -> list[Node]:
        """The cotangents of the arguments that are floats. `held` stand for the residuals among
        `leaves` that are traced, and for what is read from outside."""
        call, read, arriving = self._call, iter(held), iter(gs)
        start = TABLE["token"]()
        count = sum(isinstance(leaf, Tracer) for leaf in leaves)
        trace = self._trace("backward", held[count:], start)
        with entered(trace):
            kept = [
                Tracer(next(read), trace, leaf.weak) if isinstance(leaf, Tracer) else leaf
                for leaf in leaves
            ]
            cotangents = [
                Tracer(next(arriving), trace) if t.dtype.is_inexact else zeros(t)
                for t in call.types
            ]
            fixed = [call.fixed[place] for place in sorted(call.fixed)]
            trees = structure.unflatten(kept), call.structure.unflatten(cotangents)
            result = call_function(self._rules["backward"], *fixed, *trees)
            sent = self._cotangents(result)
        self._check_effects(trace.last_token(), sent)
        return sent

    def _cotangents(self, result: Any) -> list[Node]:
        call = self._call
        if not isinstance(result, (tuple, list)) or len(result) != len(call.places):
            count = len(call.places)
            problem = f"returns {_text(result)}, not a tuple of {count}, a cotangent for each "
            raise self._wrong(UsageError, "backward", f"{problem}argument")
        found = [
            leaf
            for place, structure, part in zip(call.places, call.structures, result, strict=True)
            for leaf in self._like(
                "backward", structure, part, f"the cotangent of argument {place}", True
            )
        ]
        return [
            self._slope("backward", what, leaf, type_)
            for (what, leaf), type_ in zip(found, call.leaf_types, strict=True)
            if type_.dtype.is_inexact
        ]

    def _check_effects(self, last: Node, sent: Sequence[Node]) -> None:
        """An effect of `backward` happens where what it gives is read, and nowhere else."""
        read = set(toposort(sent))
        for node in toposort([last]):
            if node.op.effect and node not in read:
                problem = "has an effect (a print, check or callback) of which no cotangent depends"
                raise self._wrong(TraceError, "backward", f"{problem}, so that it would not happen")


class _Forward(_Graphs):
    """The rule for forward mode."""

    def _traced(self, types: Sequence[ValueType]) -> Push:
        call, inputs = self._call, arguments(types)
        token, outside = call.parted(inputs)
        given = [build.argument(0, "tangent", n.type) for n in inputs if has_slopes(n)]
        moving = dict(zip(filter(has_slopes, inputs), given))
        trace = self._trace("rule", outside, token)
        with entered(trace):
            leaves = self._leaves(inputs, trace)
            tangents = [
                Tracer(moving[n], trace, weak) if n in moving else zeros(n.type)
                for n, weak in zip(inputs, call.weak)
            ]
            fixed = [call.fixed[place] for place in sorted(call.fixed)]
            trees = [tuple(grouped(some, call.structures)) for some in (leaves, tangents)]
            result = call_function(self._rules["rule"], *fixed, *trees)
            value, slope = self._pair("rule", "its tangent", result)
            outputs = self._result("rule", value)
            slopes = self._like("rule", call.structure, slope, "the tangent of the result", True)
            moved = [
                self._slope("rule", what, leaf, type_)
                for (what, leaf), type_ in zip(slopes, call.types, strict=True)
                if type_.dtype.is_inexact
            ]
        outputs += [] if trace.token is None else [trace.token]
        graph = Graph(call.custom.of, (*inputs, *given), (*outputs, *moved))
        return Push(len(outputs), graph)


def zeros_of(node: Node) -> Node:
    """The cotangent of what has no part in a rule."""
    return build.like(0.0, node)


def _text(value: Any) -> str:
    """What a rule returned, for an error."""
    if isinstance(value, OPERANDS):
        return "an array" if not isinstance(value, (bool, int, float)) else "a number"
    if tree.is_branch(value) and value is not None:
        return str(tree.structure(value))
    return "None" if value is None else diagnostics.kind_of(value)
