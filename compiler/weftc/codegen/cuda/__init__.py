"""CUDA C text from bound loop functions."""

from weftc.codegen.cuda.emit import emit

__all__ = ["emit"]
