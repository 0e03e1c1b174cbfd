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


def softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    scaled = x * beta
    small = wf.where(scaled > threshold, 0.0, scaled)
    return wf.where(scaled > threshold, x, wf.log1p(wf.exp(small)) / beta)


def stable_softplus(x: Any) -> Any:
    return wf.maximum(x, 0.0) + wf.log1p(wf.exp(-wf.abs(x)))


def elu(x: Any, alpha: float = 1.0, scale: float = 1.0, **_: Any) -> Any:
    return scale * wf.where(x > 0, x, alpha * wf.expm1(wf.where(x > 0, 0.0, x)))


def celu(x: Any, alpha: float = 1.0, **_: Any) -> Any:
    return wf.where(x > 0, x, alpha * wf.expm1(wf.where(x > 0, 0.0, x) / alpha))


def inside(x: Any, low: float, high: float) -> Any:
    """x within bounds; at and beyond them its gradient is 0."""
    return wf.where(x <= low, low, wf.where(x >= high, high, x))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, **_: Any) -> Any:
    return inside(x, min_val, max_val)


def hardswish(x: Any, **_: Any) -> Any:
    return wf.where(x <= -3, 0.0, wf.where(x >= 3, x, x * (x + 3) / 6))


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
    return wf.where(x > 0, x, weight * x)


def halves(x: Any, dim: int = -1) -> Any:
    place, half = (slice(None),) * (dim % x.ndim), x.shape[dim] // 2
    return x[(*place, slice(None, half))], x[(*place, slice(half, None))]


def glu(x: Any, dim: int = -1) -> Any:
    first, second = halves(x, dim)
    return first * wf.sigmoid(second)


def collected(losses: Any, reduction: str = "mean", **_: Any) -> Any:
    if reduction == "none":
        return losses
    return wf.sum(losses) if reduction == "sum" else wf.mean(losses)


def loss(function: Function) -> Function:
    """A loss of each element, collected."""

    def run(x: Any, target: Any, *args: Any, reduction: str = "mean", **named: Any) -> Any:
        return collected(function(x, target, *args, **named), reduction)

    return run


def huber(x: Any, target: Any, delta: float = 1.0) -> Any:
    far = wf.abs(x - target)
    return wf.where(far <= delta, 0.5 * far * far, delta * (far - 0.5 * delta))


def smooth_l1(x: Any, target: Any, beta: float = 1.0) -> Any:
    far = wf.abs(x - target)
    return far if beta == 0 else wf.where(far < beta, 0.5 * far * far / beta, far - 0.5 * beta)


def cross_entropy_of(x: Any, target: Any, weight: Any = None) -> Any:
    """Binary, of probabilities; logarithms are at least -100."""
    log = lambda p: wf.maximum(wf.log(p), -100.0)  # noqa: E731
    losses = -(target * log(x) + (1 - target) * log(1 - x))
    return losses if weight is None else losses * weight


def cross_entropy_of_logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None) -> Any:
    positive = target if pos_weight is None else target * pos_weight
    losses = (1 - target) * stable_softplus(x) + positive * stable_softplus(-x)
    return losses if weight is None else losses * weight


def by_class(x: Any) -> Any:
    """Scores with the axis of classes last."""
    return x if x.ndim < 2 else wf.permute_dims(x, (0, *range(2, x.ndim), 1))


def nll(
    x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    scores = by_class(x)
    kept = np.asarray(target) != ignore_index
    label = np.where(kept, target, 0)
    hot = wf.one_hot(label, scores.shape[-1], dtype=wf.float64)
    own = np.ones(scores.shape[-1]) if weight is None else weight
    weights = wf.where(kept, wf.take(wf.asarray(own), label, axis=0), 0.0)
    losses = -wf.sum(wf.where(hot > 0, scores, 0.0), axis=-1) * weights
    return wf.sum(losses) / wf.sum(weights) if reduction == "mean" else collected(losses, reduction)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    logs = nn.log_softmax(x, axis=min(1, x.ndim - 1))
    if isinstance(target, np.ndarray) and target.dtype.kind == "i":
        if label_smoothing:
            raise Unexpressed("smoothed labels that are numbers")
        return nll(logs, target, weight, ignore_index=ignore_index, reduction=reduction)
    scores, wanted = by_class(logs), by_class(target)
    wanted = wanted * (1 - label_smoothing) + label_smoothing / scores.shape[-1]
    losses = -wf.sum(scores * wanted * (1.0 if weight is None else weight), axis=-1)
    return (
        wf.sum(losses) / max(1, losses.size)
        if reduction == "mean"
        else collected(losses, reduction)
    )


def embedding(indices: Any, weight: Any, **named: Any) -> Any:
    if named.get("max_norm") is not None or named.get("scale_grad_by_freq"):
        raise Unexpressed("rows changed by a reading")
    if named.get("padding_idx") is not None:
        row = named["padding_idx"] % weight.shape[0]
        constant = np.arange(weight.shape[0])[:, None] == row
        weight = wf.where(constant, wf.stop_gradient(weight), weight)
    return wf.take(weight, indices, axis=0)


def cosine_similarity(x: Any, y: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    shape = wf.broadcast_shapes(x.shape, y.shape)
    x, y = wf.broadcast_to(x, shape), wf.broadcast_to(y, shape)
    axis = dim if x.ndim else None
    size = lambda a: wf.maximum(wf.linalg.vector_norm(a, axis=axis, keepdims=True), eps)  # noqa: E731
    return wf.sum(x / size(x) * (y / size(y)), axis=axis)


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
    if log_target:
        losses = wf.exp(target) * (target - x)
    else:
        some = wf.where(target > 0, target, 1.0)
        losses = wf.where(target > 0, target * wf.log(some), 0.0) - target * x
    return wf.sum(losses) / x.shape[0] if reduction == "batchmean" else collected(losses, reduction)


def layer_norm(
    x: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    return nn.layer_norm(x, weight, bias, axis=tuple(range(-len(shape), 0)), epsilon=eps)


def rms_norm(x: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    eps = np.finfo(np.float64).eps if eps is None else eps
    found = x * wf.rsqrt(wf.mean(x * x, axis=tuple(range(-len(shape), 0)), keepdims=True) + eps)
    return found if weight is None else found * weight


def channels(x: Any, rank: int) -> Any:
    return wf.reshape(x, (-1,) + (1,) * (rank - 2))


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if x.size == 0:
        raise Unexpressed("no elements")
    parts = wf.reshape(x, (x.shape[0], groups, -1))
    found = wf.reshape(nn.layer_norm(parts, epsilon=eps), x.shape)
    found = found if weight is None else found * channels(weight, x.ndim)
    return found if bias is None else found + channels(bias, x.ndim)


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
    return group_norm(x, x.shape[1], weight, bias, eps)


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
    if training:
        axes = (0, *range(2, x.ndim))
        centered = x - wf.mean(x, axis=axes, keepdims=True)
        found = centered * wf.rsqrt(wf.var(x, axis=axes, keepdims=True) + eps)
    else:
        found = (x - channels(mean, x.ndim)) * wf.rsqrt(channels(wf.asarray(var), x.ndim) + eps)
    found = found if weight is None else found * channels(weight, x.ndim)
    return found if bias is None else found + channels(bias, x.ndim)


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
    axis = dim if x.ndim else None
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
    losses = target * stable_softplus(-x) + (1 - target) * stable_softplus(x)
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
    "nn.functional.glu": glu,
    "nn.functional.group_norm": group_norm,
    "nn.functional.hardshrink": lambda x, lambd=0.5: wf.where(wf.abs(x) > lambd, x, 0.0),
    "nn.functional.hardsigmoid": lambda x, **_: inside(x, -3.0, 3.0) / 6 + 0.5,
    "nn.functional.hardswish": hardswish,
    "nn.functional.hardtanh": hardtanh,
    "nn.functional.hinge_embedding_loss": loss(hinge_embedding),
    "nn.functional.huber_loss": loss(huber),
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.kl_div": kl_div,
    "nn.functional.l1_loss": loss(lambda x, target: wf.abs(x - target)),
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.leaky_relu": lambda x, negative_slope=0.01, **_: wf.where(
        x > 0, x, negative_slope * x
    ),
    "nn.functional.linear": linear,
    "nn.functional.logsigmoid": lambda x: -stable_softplus(-x),
    "nn.functional.margin_ranking_loss": ranked,
    "nn.functional.mish": lambda x, **_: x * wf.tanh(stable_softplus(x)),
    "nn.functional.mse_loss": loss(lambda x, target: (x - target) ** 2),
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
    "nn.functional.relu6": lambda x, **_: inside(x, 0.0, 6.0),
    "nn.functional.rms_norm": rms_norm,
    "nn.functional.scaled_dot_product_attention": attention,
    "nn.functional.selu": lambda x, **_: elu(x, 1.6732632423543772, 1.0507009873554805),
    "nn.functional.silu": lambda x, **_: nn.silu(x),
    "nn.functional.smooth_l1_loss": loss(smooth_l1),
    "nn.functional.soft_margin_loss": loss(lambda x, target: stable_softplus(-target * x)),
    "nn.functional.softmin": lambda x, dim=None, **named: softmax(-x, dim),
    "nn.functional.softplus": softplus,
    "nn.functional.softshrink": lambda x, lambd=0.5: wf.where(
        x > lambd, x - lambd, wf.where(x < -lambd, x + lambd, 0.0)
    ),
    "nn.functional.softsign": lambda x: x / (1 + wf.abs(x)),
    "nn.functional.tanhshrink": lambda x: x - wf.tanh(x),
    "nn.functional.threshold": lambda x, threshold, value, **_: wf.where(x > threshold, x, value),
    "nn.functional.triplet_margin_loss": triplet,
    "softmax": softmax,
}
