"""Every stage of one small function, from the traced graph to machine code."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft as wf


@wf.jit
def layer(x: Any, w: Any, b: Any) -> Any:
    """A linear layer with its activation: one kernel."""
    return wf.nn.relu(x @ w + b)


def main() -> None:
    """Print the stages; all but the first lines of the longer ones are cut."""
    x, w, b = (np.ones(shape, np.float32) for shape in ((6, 20), (20, 32), (32,)))
    for stage in ("graph", "optimized", "kernels", "loops", "llvm", "asm"):
        lines = layer.ir(x, w, b, stage=stage).splitlines()
        print(f"== {stage} ({len(lines)} lines)")
        print("\n".join(lines[:12]), end="\n\n")
    print("== why these kernels")
    print(layer.explain(x, w, b))


if __name__ == "__main__":
    main()
