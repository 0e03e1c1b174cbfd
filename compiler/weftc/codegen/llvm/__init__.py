"""LLVM IR text from widened loop functions."""

from weftc.codegen.llvm.emit import emit

__all__ = ["emit"]
