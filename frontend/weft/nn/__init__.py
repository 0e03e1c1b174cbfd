"""Functions of neural networks: activations, convolution, pooling, normalization, losses. All are
compositions: they hold no state, and what they make of a value is what its parts mean, fused or
not."""

from typing import TYPE_CHECKING

from weft.boundary import public
from weft.names import listed, missing
from weft.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    silu,
    softplus,
    softsign,
)
from weft.nn.channel_normalization import (
    batch_norm,
    batch_norm_training,
    group_norm,
    instance_norm,
)
from weft.nn.classification import cross_entropy, negative_log_likelihood
from weft.nn.convolution import conv, conv_transpose
from weft.nn.divergences import binary_cross_entropy_with_logits, kl_divergence
from weft.nn.embedding import dropout, embedding
from weft.nn.losses import absolute_error, hinge_loss, huber_loss, smooth_l1_loss, squared_error
from weft.nn.normalization import cosine_similarity, l2_normalize, layer_norm, rms_norm
from weft.nn.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    l2_pool,
    max_pool,
)
from weft.nn.probabilities import log_softmax, softmax
from weft.nn.resize import resize
from weft.nn.windows import windows
from weft.ops.elementwise import sigmoid, tanh
from weft.ops.indexing import one_hot
from weft.ops.reductions import logsumexp

__all__ = [
    "absolute_error",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "batch_norm",
    "batch_norm_training",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv",
    "conv_transpose",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hinge_loss",
    "huber_loss",
    "instance_norm",
    "kl_divergence",
    "l2_normalize",
    "l2_pool",
    "layer_norm",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "max_pool",
    "mish",
    "negative_log_likelihood",
    "one_hot",
    "relu",
    "relu6",
    "resize",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "squared_error",
    "tanh",
    "windows",
]

if not TYPE_CHECKING:
    __getattr__ = public(missing("nn", __all__))
    __dir__ = listed(__all__)
