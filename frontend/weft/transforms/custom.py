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
from functools import partial
from typing import Any

from weft import diagnostics, tree
from weft.control import called
from weft.tracing import call_function, lift, state
from weft.transforms.arguments import Numbers, check_function, plain_numbers
from weft.transforms.custom_call import Call, Custom, Function, named_after
from weft.transforms.custom_rules import ForwardGraphs, ReverseGraphs
from weftc.transforms.rules import ForwardRule, ReverseRule, Rule
from weftrt.errors import UsageError


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


def _decorated(kind: type[Custom], function: Function | None, nondiff_argnums: Numbers) -> Any:
    plain = plain_numbers(nondiff_argnums)
    numbers = (plain,) if isinstance(plain, int) else plain
    if function is None:
        return functools.partial(_custom, kind, numbers)
    return _custom(kind, numbers, function)


def _custom(kind: type[Custom], numbers: tuple[int, ...], function: Function) -> Function:
    check_function(kind.name, function)
    custom = kind(function, numbers)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        custom.check()
        given = custom.positional(args, kwargs)
        if state.trace is None:
            return call_function(function, *given)
        return Call(custom, given).run()

    custom.called = called
    for name, define in custom.definitions().items():
        setattr(called, name, define)
    called.derivative_rules = custom.cells  # type: ignore[attr-defined]
    return called


class _Vjp(Custom):
    name = "custom_vjp"

    def definitions(self) -> dict[str, Function]:
        return {"defvjp": self.defvjp}

    def defvjp(self, forward: Function, backward: Function) -> None:
        """Let `forward` and `backward` be the rules for reverse mode."""
        for function in (forward, backward):
            check_function(f"{self.of}.defvjp", function)
        self.hold(forward=forward, backward=backward)

    def rule(self, call: Call, operands: int) -> Rule:
        return ReverseRule(named_after(self.of, ReverseGraphs(call, self.rules).of), operands)


class _Jvp(Custom):
    name = "custom_jvp"

    def definitions(self) -> dict[str, Function]:
        return {"defjvp": self.defjvp, "defjvps": self.defjvps}

    def defjvp(self, rule: Function) -> Function:
        """Let `rule` be the rule for both modes; it is given back."""
        check_function(f"{self.of}.defjvp", rule)
        self.hold(rule=rule)
        return rule

    def defjvps(self, *rules: Function | None) -> None:
        """Let the tangent be the sum of those of each argument."""

        def rule(*given: Any) -> tuple[Any, Any]:
            *fixed, primals, tangents = given
            result = self.called(*primals) if not fixed else None
            if fixed or len(rules) != len(primals):
                problem = f"{self.of}.defjvps has {len(rules)} rules for {len(primals)} arguments"
                raise diagnostics.located(UsageError, problem)
            pairs = zip(rules, tangents)
            names = ["tangent", "result", *(f"argument {k}" for k in range(len(primals)))]
            parts = [
                called(self.of, names, f"rule {k}", part, partial(part, t, result, *primals))
                for k, (part, t) in enumerate(pairs)
                if part is not None
            ]
            return result, functools.reduce(lambda a, b: tree.map(_sum, a, b), parts or [None])

        for part in rules:
            if part is not None:
                check_function(f"{self.of}.defjvps", part)
        self.hold(rule=rule, **{f"rule {k}": r for k, r in enumerate(rules) if r})

    def rule(self, call: Call, operands: int) -> Rule:
        return ForwardRule(named_after(self.of, ForwardGraphs(call, self.rules).of), operands)


def _sum(a: Any, b: Any) -> Any:
    return lift(a) + lift(b)
