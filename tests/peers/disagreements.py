"""Where Weft and torch differ on torch's samples, and why: exactly there they must."""

from __future__ import annotations

NOT_ITS_GRADIENTS = "tangents: torch's are not those of its gradients"
SYMMETRIC = "torch's forward mode takes tangents of symmetric matrices to be symmetric"
A_LITTLE = "by less than 1e-05"
ZEROS = "of the norm of zeros, or of nothing, as of the root at 0 (docs/guide/transforms.md)"

DISAGREEMENTS: dict[str, dict[str, str]] = {
    "linalg.cholesky": {NOT_ITS_GRADIENTS: SYMMETRIC},
    "linalg.eigh": {NOT_ITS_GRADIENTS: SYMMETRIC},
    "linalg.norm": {
        "gradients: NaN where torch has 0": ZEROS,
        "tangents: NaN where torch has 0": ZEROS,
    },
    "logcumsumexp": {
        f"tangents, {A_LITTLE}": "torch's forward mode adds 1e-13 to each sum of exponentials",
    },
    "nn.functional.hardsigmoid": {
        f"gradients, {A_LITTLE}": "torch's slope is 1 / 6 in float32",
    },
    "triangular_solve": {
        NOT_ITS_GRADIENTS: "torch's forward mode reads the tangent of the other triangle too"
    },
}
"""By function and by what differs, as `comparison.difference` says it."""
