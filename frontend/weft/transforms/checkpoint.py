"""`weft.checkpoint`: gradients that compute again what they need, instead of keeping it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from weft import diagnostics
from weft.bodies import trace_body
from weft.tracing import Tracer, active, follow, results, state
from weft.transforms.arguments import check_function
from weftc.ir.node import Node
from weftc.ops import TABLE
from weftc.transforms.recompute import KEPT, CheckpointRule
from weftrt.errors import UsageError

Function = Callable[..., Any]
_POLICIES: Final = (*KEPT, "everything")


def checkpoint(function: Function | None = None, policy: str = "nothing") -> Any:
    """`function`, of which reverse mode keeps less: what a gradient needs of it is computed again,
    from its arguments and what it reads around it, when the gradient comes there.

    `policy` says which intermediate results are kept all the same: "nothing", "dots" (those of
    products of matrices, which take longest to compute), or "everything", as without checkpoint.

    Values are what they are without, and so are gradients to the last bit, but where several terms
    add up to one: those that come from `function` are added up first. Forward mode and maps change
    nothing. What happens in the function (prints, checks) happens once; TraceError where the
    gradient needs what a callback in it gives. Works as a decorator.
    """
    if policy not in _POLICIES:
        problem = f"checkpoint: policy is one of {', '.join(map(repr, _POLICIES))}"
        raise diagnostics.located(UsageError, f"{problem}, not {policy!r:.40}")
    if function is None:
        return functools.partial(checkpoint, policy=policy)
    check_function("checkpoint", function)
    inner: Function = function

    @functools.wraps(inner)
    def called(*args: Any, **kwargs: Any) -> Any:
        if state.trace is None or policy == "everything":
            return inner(*args, **kwargs)
        return _call(inner, policy, args, kwargs)

    return called


def _call(function: Function, policy: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a call within a trace, from a node that knows the policy."""

    @functools.wraps(function)
    def whole() -> Any:
        return function(*args, **kwargs)

    captures: dict[Node, int] = {}
    body = trace_body("the function under checkpoint", whole, [], lambda _: (), captures)
    effects = body.has_effects
    outputs = body.converted([leaf.dtype for leaf in body.leaves])
    outputs += [body.trace.last_token()] if effects else []
    graph = body.closed(outputs, captures, effects)
    operands = [*([active().last_token()] if effects else []), *captures]
    rule = CheckpointRule(whole, len(operands), graph, policy)
    node = TABLE["call"](*operands, body=graph, rule=rule, instead=None)
    if effects:
        follow(node)
    pairs = zip(results(node), body.leaves, strict=True)
    return body.structure.unflatten([Tracer(r.node, active(), x.weak) for r, x in pairs])
