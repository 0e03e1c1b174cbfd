"""Functions of torch.nn.functional, in torch's signatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tests.peers.functions.movement import constant_pad
from tests.peers.unexpressed import Unexpressed

import weft as wf

Function = Callable[..., Any]
nn = wf.nn
LESS = "a variance from which something is taken"


def softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    return wf.where(x * beta > threshold, x, nn.softplus(x * beta) / beta)


def elu(x: Any, alpha: float = 1.0, scale: float = 1.0, **_: Any) -> Any:
    return scale * nn.elu(x, alpha)


def celu(x: Any, alpha: float = 1.0, **_: Any) -> Any:
    return nn.celu(x, alpha)


def inside(x: Any, low: float, high: float) -> Any:
    """x within bounds; at and beyond them its gradient is 0."""
    return wf.where(x <= low, low, wf.where(x >= high, high, x))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, **_: Any) -> Any:
    if (min_val, max_val) == (-1.0, 1.0):
        return nn.hard_tanh(x)
    return inside(x, min_val, max_val)


def softmax(x: Any, dim: int | None = None, *, dtype: Any = None, **_: Any) -> Any:
    return nn.softmax(x, axis=dim) if x.ndim else x * 0 + 1


def log_softmax(x: Any, dim: int | None = None, *, dtype: Any = None, **_: Any) -> Any:
    return nn.log_softmax(x, axis=dim) if x.ndim else x * 0


def gelu(x: Any, *, approximate: str = "none") -> Any:
    return nn.gelu(x, approximate=approximate == "tanh")


def prelu(x: Any, weight: Any) -> Any:
    if weight.ndim and x.ndim > 1:
        weight = wf.reshape(weight, (-1,) + (1,) * (x.ndim - 2))
    elif weight.ndim and not x.ndim:
        weight = wf.reshape(weight, ())
    return nn.leaky_relu(x, weight)


def collected(losses: Any, reduction: str = "mean", **_: Any) -> Any:
    if reduction == "none":
        return losses
    return wf.sum(losses) if reduction == "sum" else wf.mean(losses)


def loss(function: Function) -> Function:
    """A loss of each element, collected."""

    def run(x: Any, target: Any, *args: Any, reduction: str = "mean", **named: Any) -> Any:
        return collected(function(x, target, *args, **named), reduction)

    return run


def elements(function: Function) -> Function:
    """A loss of elements of ours, which broadcasts nothing."""

    def run(x: Any, target: Any, *, reduction: str = "mean", **named: Any) -> Any:
        both = [wf.broadcast_to(a, wf.broadcast_shapes(x.shape, target.shape)) for a in (x, target)]
        return function(*both, reduction=reduction, **named)

    return run


def cross_entropy_of(x: Any, target: Any, weight: Any = None) -> Any:
    """Binary, of probabilities; logarithms are at least -100."""
    log = lambda p: wf.maximum(wf.log(p), -100.0)  # noqa: E731
    losses = -(target * log(x) + (1 - target) * log(1 - x))
    return losses if weight is None else losses * weight


def cross_entropy_of_logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None) -> Any:
    losses = nn.binary_cross_entropy_with_logits(x, target, positive_weight=pos_weight)
    return losses if weight is None else losses * weight


def nll(x: Any, target: Any, weight: Any = None, **named: Any) -> Any:
    return nn.negative_log_likelihood(x, target, **of_classes(x, weight, **named))


def cross_entropy(x: Any, target: Any, weight: Any = None, **named: Any) -> Any:
    options = of_classes(x, weight, **named)
    if target.dtype.kind == "f" if isinstance(target, np.ndarray) else True:
        del options["ignore_index"]
    return nn.cross_entropy(x, target, **options)


def of_classes(
    x: Any, weight: Any, *, ignore_index: int = -100, reduction: str = "mean", **named: Any
) -> dict[str, Any]:
    """The options of ours: their classes are along axis 1, if there are rows."""
    named.update(axis=min(1, x.ndim - 1), weights=weight)
    return {**named, "ignore_index": ignore_index, "reduction": reduction}


def embedding(indices: Any, weight: Any, **named: Any) -> Any:
    if named.get("max_norm") is not None or named.get("scale_grad_by_freq"):
        raise Unexpressed("rows changed by a reading")
    if named.get("padding_idx") is not None:
        row = named["padding_idx"] % weight.shape[0]
        constant = np.arange(weight.shape[0])[:, None] == row
        weight = wf.where(constant, wf.stop_gradient(weight), weight)
    return nn.embedding(weight, indices)


def cosine_similarity(x: Any, y: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    return nn.cosine_similarity(x, y, dim if x.ndim else (), epsilon=eps)


def hinge_embedding(x: Any, target: Any, margin: float = 1.0) -> Any:
    return wf.where(target != -1, x, 0.0) + wf.where(target != 1, nn.relu(margin - x), 0.0)


def gaussian_nll(
    x: Any,
    target: Any,
    var: Any,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    if not hasattr(var, "ndim"):
        var = wf.full_like(x, var)
    if var.ndim == x.ndim - 1:
        var = var[..., None]
    floor = wf.stop_gradient(wf.maximum(var, eps) - var)
    losses = 0.5 * (wf.log(var + floor) + (x - target) ** 2 / (var + floor))
    losses = losses + 0.5 * math.log(2 * math.pi) if full else losses
    return collected(losses, reduction)


def poisson_nll(
    x: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    **_: Any,
) -> Any:
    losses = wf.exp(x) - target * x if log_input else x - target * wf.log(x + eps)
    if not full:
        return losses
    large = wf.where(target > 1, target, 1.0)
    stirling = large * wf.log(large) - large + 0.5 * wf.log(2 * math.pi * large)
    return losses + wf.where(target > 1, stirling, 0.0)


def kl_div(x: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Any:
    rows = [wf.reshape(a, (*x.shape, 1)) for a in (x, target)]  # theirs are elements
    losses = nn.kl_divergence(*rows, log_target=log_target)
    return wf.sum(losses) / x.shape[0] if reduction == "batchmean" else collected(losses, reduction)


def layer_norm(
    x: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    return nn.layer_norm(x, weight, bias, axis=tuple(range(-len(shape), 0)), epsilon=eps)


def rms_norm(x: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    eps = float(np.finfo(np.float64).eps) if eps is None else eps
    if eps < 0:
        raise Unexpressed(LESS)
    return nn.rms_norm(x, weight, axis=tuple(range(-len(shape), 0)), epsilon=eps)


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if eps < 0:
        raise Unexpressed(LESS)
    return nn.group_norm(x, groups, weight, bias, epsilon=eps)


def instance_norm(
    x: Any,
    mean: Any = None,
    var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    **_: Any,
) -> Any:
    if not use_input_stats:
        raise Unexpressed("statistics of before")
    return nn.instance_norm(x, weight, bias, epsilon=eps)


def batch_norm(
    x: Any,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if eps < 0 or x.ndim < 2:
        raise Unexpressed(LESS if eps < 0 else "an array without channels")
    if training:
        return nn.batch_norm_training(x, weight, bias, epsilon=eps)[0]
    return nn.batch_norm(x, mean, var, weight, bias, epsilon=eps)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    found = x @ weight.T
    return found if bias is None else found + bias


def bilinear(a: Any, b: Any, weight: Any, bias: Any = None) -> Any:
    found = wf.einsum("...i,oij,...j->...o", a, weight, b)
    return found if bias is None else found + bias


def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Any = None,
    enable_gqa: bool = False,
) -> Any:
    if dropout_p or enable_gqa:
        raise Unexpressed("random numbers, or groups of queries")
    scores = (
        query
        @ wf.matrix_transpose(key)
        * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    )
    if is_causal:
        scores = wf.where(np.tril(np.ones(tuple(scores.shape[-2:]), bool)), scores, -wf.inf)
    if attn_mask is not None:
        mask = attn_mask if attn_mask.dtype != np.bool_ else np.where(attn_mask, 0.0, -np.inf)
        scores = scores + mask
    return nn.softmax(scores) @ value


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    axis = dim if x.ndim else ()
    if p == 2:
        return nn.l2_normalize(x, axis, epsilon=eps)
    return x / wf.maximum(wf.linalg.vector_norm(x, ord=p, axis=axis, keepdims=True), eps)


def pairwise_distance(
    a: Any, b: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    return wf.linalg.vector_norm(a - b + eps, ord=p, axis=-1, keepdims=keepdim)


def margin_ranking(a: Any, b: Any, target: Any, margin: float = 0.0) -> Any:
    return nn.relu(-target * (a - b) + margin)


def ranked(a: Any, b: Any, target: Any, *, margin: float = 0.0, reduction: str = "mean") -> Any:
    return collected(margin_ranking(a, b, target, margin), reduction)


def triplet(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    near, far = (
        pairwise_distance(anchor, positive, p, eps),
        pairwise_distance(anchor, negative, p, eps),
    )
    if swap:
        far = wf.minimum(far, pairwise_distance(positive, negative, p, eps))
    return collected(nn.relu(margin + near - far), reduction)


def multilabel_soft_margin(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", **_: Any
) -> Any:
    losses = nn.binary_cross_entropy_with_logits(x, target)
    losses = losses if weight is None else losses * weight
    return collected(wf.mean(losses, axis=-1), reduction)


def rearranged(
    x: Any, lead: int, sizes: Sequence[int], order: Sequence[int], shape: Sequence[int]
) -> Any:
    whole = wf.reshape(x, (*x.shape[:lead], *sizes))
    order = [*range(lead), *(lead + place for place in order)]
    return wf.reshape(wf.permute_dims(whole, order), (*x.shape[:lead], *shape))


def pixel_shuffle(x: Any, upscale_factor: int) -> Any:
    factor = upscale_factor
    c, h, w = x.shape[-3:]
    c //= factor * factor
    return rearranged(
        x, x.ndim - 3, (c, factor, factor, h, w), (0, 3, 1, 4, 2), (c, h * factor, w * factor)
    )


def pixel_unshuffle(x: Any, downscale_factor: int) -> Any:
    factor = downscale_factor
    c, h, w = x.shape[-3], x.shape[-2] // factor, x.shape[-1] // factor
    return rearranged(
        x, x.ndim - 3, (c, h, factor, w, factor), (0, 2, 4, 1, 3), (c * factor * factor, h, w)
    )


def channel_shuffle(x: Any, groups: int) -> Any:
    c = x.shape[1]
    return rearranged(
        x, 1, (groups, c // groups, *x.shape[2:]), (1, 0, *range(2, x.ndim)), x.shape[1:]
    )


def padded(x: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Any:
    if mode == "constant":
        return constant_pad(x, pad, value or 0.0)
    if mode == "circular" and min(pad) < 0:
        raise Unexpressed("an array that is wrapped and cut")
    for place, (low, high) in enumerate(zip(pad[::2], pad[1::2])):
        axis = x.ndim - 1 - place
        places = np.arange(-low, x.shape[axis] + high)
        x = wf.take(x, FOLDS[mode](places, x.shape[axis]), axis=axis)
    return x


FOLDS: dict[str, Function] = {
    "circular": np.mod,
    "reflect": lambda places, size: size - 1 - abs(size - 1 - abs(places)),
    "replicate": lambda places, size: np.clip(places, 0, size - 1),
}


def interpolate(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    rank = x.ndim - 2
    if antialias:
        raise Unexpressed("an average before")
    if scale_factor is not None:  # theirs then divides places by it, and not by sizes
        factors = each_axis(scale_factor, rank)
        size = tuple(int(n * f) for n, f in zip(x.shape[2:], factors))
        if any(n * f % 1 for n, f in zip(x.shape[2:], factors)):
            raise Unexpressed("a factor that makes no whole number of elements")
    shape = (*x.shape[:2], *each_axis(size, rank))
    if mode in ("linear", "bilinear", "trilinear"):
        return nn.resize(x, shape, "linear", align_corners=bool(align_corners))
    whole = all(m % n == 0 for n, m in zip(x.shape, shape))
    if mode == "nearest-exact" or (mode == "nearest" and whole):
        return nn.resize(x, shape, "nearest")
    raise Unexpressed(f"the mode {mode}")


def each_axis(value: Any, count: int) -> tuple[int, ...]:
    return (
        tuple(value) * (count if len(value) == 1 else 1)
        if isinstance(value, (tuple, list))
        else (value,) * count
    )


def convolution(rank: int) -> Function:
    """A convolution as one product of windows and weights."""

    def run(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        batched = x.ndim == rank + 2
        x = x if batched else x[None]
        sizes, dilation = weight.shape[2:], each_axis(dilation, rank)
        total = [d * (k - 1) for d, k in zip(dilation, sizes)]
        if padding == "valid":
            padding = 0
        sides = (
            [(t // 2, t - t // 2) for t in total]
            if padding == "same"
            else [(p, p) for p in each_axis(padding, rank)]
        )
        x = wf.pad(x, [(0, 0), (0, 0), *sides])
        for axis, (step, reach, gap) in enumerate(zip(each_axis(stride, rank), total, dilation)):
            starts = np.arange(0, x.shape[2 + axis] - reach, step)
            x = wf.take(x, starts[:, None] + gap * np.arange(sizes[axis]), axis=2 + axis)
            x = wf.permute_dims(x, [*range(3 + axis), *range(4 + axis, x.ndim), 3 + axis])
        spatial, window = x.shape[2 : 2 + rank], x.shape[2 + rank :]
        x = wf.reshape(x, (x.shape[0], groups, x.shape[1] // groups, *spatial, *window))
        parts = wf.reshape(weight, (groups, weight.shape[0] // groups, *weight.shape[1:]))
        places, kernel = "xyz"[:rank], "klm"[:rank]
        found = wf.einsum(f"bgc{places}{kernel},goc{kernel}->bgo{places}", x, parts)
        found = wf.reshape(found, (x.shape[0], weight.shape[0], *spatial))
        if bias is not None:
            found = found + wf.reshape(bias, (-1,) + (1,) * rank)
        return found if batched else found[0]

    return run


TABLE: dict[str, Function] = {
    "log_softmax": log_softmax,
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.bilinear": bilinear,
    "nn.functional.binary_cross_entropy": loss(cross_entropy_of),
    "nn.functional.binary_cross_entropy_with_logits": loss(cross_entropy_of_logits),
    "nn.functional.celu": celu,
    "nn.functional.channel_shuffle": channel_shuffle,
    "nn.functional.conv1d": convolution(1),
    "nn.functional.conv2d": convolution(2),
    "nn.functional.cosine_similarity": cosine_similarity,
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.elu": elu,
    "nn.functional.embedding": lambda weight, indices, **named: embedding(indices, weight, **named),
    "nn.functional.gaussian_nll_loss": gaussian_nll,
    "nn.functional.gelu": gelu,
    "nn.functional.glu": lambda x, dim=-1: nn.glu(x, dim),
    "nn.functional.group_norm": group_norm,
    "nn.functional.hardshrink": lambda x, lambd=0.5: wf.where(wf.abs(x) > lambd, x, 0.0),
    "nn.functional.hardsigmoid": lambda x, **_: nn.hard_sigmoid(x),
    "nn.functional.hardswish": lambda x, **_: nn.hard_silu(x),
    "nn.functional.hardtanh": hardtanh,
    "nn.functional.hinge_embedding_loss": loss(hinge_embedding),
    "nn.functional.huber_loss": elements(nn.huber_loss),
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.interpolate": interpolate,
    "nn.functional.kl_div": kl_div,
    "nn.functional.l1_loss": elements(nn.absolute_error),
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.leaky_relu": lambda x, negative_slope=0.01, **_: nn.leaky_relu(
        x, negative_slope
    ),
    "nn.functional.linear": linear,
    "nn.functional.logsigmoid": nn.log_sigmoid,
    "nn.functional.margin_ranking_loss": ranked,
    "nn.functional.mish": lambda x, **_: nn.mish(x),
    "nn.functional.mse_loss": elements(nn.squared_error),
    "nn.functional.multilabel_soft_margin_loss": multilabel_soft_margin,
    "nn.functional.nll_loss": nll,
    "nn.functional.normalize": normalize,
    "nn.functional.pad": lambda x, pad, mode="constant", value=None: padded(x, pad, mode, value),
    "nn.functional.pairwise_distance": pairwise_distance,
    "nn.functional.pixel_shuffle": pixel_shuffle,
    "nn.functional.pixel_unshuffle": pixel_unshuffle,
    "nn.functional.poisson_nll_loss": lambda x, target, *args, reduction="mean", **named: collected(
        poisson_nll(x, target, *args, **named), reduction
    ),
    "nn.functional.prelu": prelu,
    "nn.functional.relu": lambda x, **_: nn.relu(x),
    "nn.functional.relu6": lambda x, **_: nn.relu6(x),
    "nn.functional.rms_norm": rms_norm,
    "nn.functional.scaled_dot_product_attention": attention,
    "nn.functional.selu": lambda x, **_: nn.selu(x),
    "nn.functional.silu": lambda x, **_: nn.silu(x),
    "nn.functional.smooth_l1_loss": elements(nn.smooth_l1_loss),
    "nn.functional.soft_margin_loss": loss(lambda x, target: nn.softplus(-target * x)),
    "nn.functional.softmin": lambda x, dim=None, **named: softmax(-x, dim),
    "nn.functional.softplus": softplus,
    "nn.functional.softshrink": lambda x, lambd=0.5: wf.where(
        x > lambd, x - lambd, wf.where(x < -lambd, x + lambd, 0.0)
    ),
    "nn.functional.softsign": nn.softsign,
    "nn.functional.tanhshrink": lambda x: x - wf.tanh(x),
    "nn.functional.threshold": lambda x, threshold, value, **_: wf.where(x > threshold, x, value),
    "nn.functional.triplet_margin_loss": triplet,
    "softmax": softmax,
}
