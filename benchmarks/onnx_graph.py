"""A job as an ONNX model, which ONNX Runtime and OpenVINO take; weights are held in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

OPSET = 20
UNARY = {"sin": "Sin", "cos": "Cos", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt"}
BINARY = {"maximum": "Max", "minimum": "Min"}
OPERATORS = {"add": "Add", "sub": "Sub", "mul": "Mul", "truediv": "Div"}
REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin"}


class Graph:
    """Nodes and constants so far."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def value(self, item: Any, like: Any = np.float32) -> Value:
        """A value, or a constant of a number or an array."""
        if isinstance(item, Value):
            return item
        array = np.asarray(item, like if isinstance(item, int | float) else None)
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return Value(self, name, array.shape, array.dtype)

    def node(
        self, op: str, inputs: Sequence[Any], shape: Any, dtype: Any = None, **attributes: Any
    ) -> Value:
        """The result of one more node."""
        values = [self.value(item) for item in inputs]
        name = f"v{len(self.nodes)}"
        made = self.onnx.helper.make_node(op, [v.name for v in values], [name], **attributes)
        self.nodes.append(made)
        return Value(self, name, tuple(shape), dtype or values[0].dtype)


class Value:
    """An array of the graph; it has the operators of one."""

    __array_ufunc__ = None  # so that NumPy's arrays leave operators to this one

    def __init__(self, graph: Graph, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        self.graph, self.name, self.shape, self.dtype = graph, name, shape, dtype

    @property
    def T(self) -> Value:
        """Of a matrix."""
        return self.graph.node("Transpose", [self], self.shape[::-1])

    def __neg__(self) -> Value:
        return self.graph.node("Neg", [self], self.shape)

    def __matmul__(self, other: Any) -> Value:
        right = self.graph.value(other)
        stack = np.broadcast_shapes(self.shape[:-2], right.shape[:-2])
        return self.graph.node("MatMul", [self, right], (*stack, self.shape[-2], right.shape[-1]))


def _binary(op: str, first: Any, second: Any) -> Value:
    graph = (first if isinstance(first, Value) else second).graph
    a, b = graph.value(first), graph.value(second)
    return graph.node(op, [a, b], np.broadcast_shapes(a.shape, b.shape))


def _operator(op: str, reflected: bool) -> Callable[[Value, Any], Value]:
    def run(self: Value, other: Any) -> Value:
        return _binary(op, other, self) if reflected else _binary(op, self, other)

    return run


for _name, _op in OPERATORS.items():
    setattr(Value, f"__{_name}__", _operator(_op, False))
    setattr(Value, f"__r{_name}__", _operator(_op, True))


def _unary(op: str) -> Callable[[Value], Value]:
    return lambda x: x.graph.node(op, [x], x.shape)


def _reduction(op: str) -> Callable[..., Value]:
    def run(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
        axes = [a % len(x.shape) for a in (range(len(x.shape)) if axis is None else (axis,))]
        kept = [1 if a in axes else n for a, n in enumerate(x.shape)]
        shape = kept if keepdims else [n for a, n in enumerate(x.shape) if a not in axes]
        inputs = [x, x.graph.value(np.asarray(axes, np.int64))]
        return x.graph.node(op, inputs, shape, keepdims=int(keepdims))

    return run


def _argmax(x: Value, axis: int) -> Value:
    shape = [n for a, n in enumerate(x.shape) if a != axis % len(x.shape)]
    return x.graph.node("ArgMax", [x], shape, np.dtype(np.int64), axis=axis, keepdims=0)


def _permuted(x: Value, order: tuple[int, ...]) -> Value:
    return x.graph.node("Transpose", [x], [x.shape[a] for a in order], perm=list(order))


def _concat(parts: Sequence[Value], axis: int = 0) -> Value:
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    return parts[0].graph.node("Concat", parts, shape, axis=axis)


def _taken(x: Value, indices: Value, axis: int) -> Value:
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return x.graph.node("Gather", [x, indices], shape, axis=axis)


def _cumsum(x: Value, axis: int) -> Value:
    return x.graph.node("CumSum", [x, np.asarray(axis, np.int64)], x.shape)


def _softmax(op: str) -> Callable[..., Value]:
    return lambda x, axis=-1: x.graph.node(op, [x], x.shape, axis=axis)


def _layer_norm(x: Value, scale: Any, shift: Any) -> Value:
    return x.graph.node("LayerNormalization", [x, scale, shift], x.shape, axis=-1, epsilon=1e-5)


NAMES = SimpleNamespace(
    **{name: _unary(op) for name, op in UNARY.items()},
    **{name: (lambda a, b, op=op: _binary(op, a, b)) for name, op in BINARY.items()},
    **{name: _reduction(op) for name, op in REDUCTIONS.items()},
    argmax=_argmax,
    permute_dims=_permuted,
    concat=_concat,
    take=_taken,
    cumsum=_cumsum,
    matmul=lambda a, b: a @ b,
    nn=SimpleNamespace(
        relu=_unary("Relu"),
        sigmoid=_unary("Sigmoid"),
        gelu=lambda x: x.graph.node("Gelu", [x], x.shape, approximate="tanh"),
        softmax=_softmax("Softmax"),
        log_softmax=_softmax("LogSoftmax"),
        layer_norm=_layer_norm,
    ),
)


def model(
    function: Callable[[Any], Callable[..., Any]], arrays: tuple[Any, ...], weights: int
) -> tuple[bytes, dict[str, Any]]:
    """The model of a function of arrays, the last `weights` of which it holds, and the others by
    the names of its inputs."""
    import onnx

    graph = Graph(onnx)
    count = len(arrays) - weights
    given = {f"x{number}": array for number, array in enumerate(arrays[:count])}
    inputs = [Value(graph, name, a.shape, a.dtype) for name, a in given.items()]
    result = function(NAMES)(*inputs, *map(graph.value, arrays[count:]))
    outputs = list(result) if isinstance(result, tuple) else [result]

    def described(value: Value) -> Any:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
        return onnx.helper.make_tensor_value_info(value.name, kind, value.shape)

    body = onnx.helper.make_graph(
        graph.nodes, "job", [*map(described, inputs)], [*map(described, outputs)], graph.constants
    )
    made = onnx.helper.make_model(
        body, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10
    )
    return made.SerializeToString(), given
