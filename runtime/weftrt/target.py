"""What the compiler needs to know of the machine it compiles for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A CPU as the compiler sees it. `features` is LLVM's string of the features present; it is
    part of every cache key, unlike the CPU's name, which is often wrong."""

    triple: str
    features: tuple[str, ...]
    vector_bits: int
    l1_bytes: int = 32 << 10
    l2_bytes: int = 1 << 20

    def has(self, feature: str) -> bool:
        return feature in self.features
