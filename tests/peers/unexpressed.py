"""Why a sample of a peer cannot be asked of Weft."""

from __future__ import annotations


class Unexpressed(Exception):
    """There is nothing of Weft's that does what a sample asks for."""
