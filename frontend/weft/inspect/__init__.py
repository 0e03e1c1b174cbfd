"""Reading what the compiler does: stages as text, kernels with their lines, dumps."""

from weft.inspect.stages import STAGES, Lowered

__all__ = ["STAGES", "Lowered"]
