"""Counts of bytes in words."""

from __future__ import annotations

import pytest

from weftrt.sizes import amount, scaled


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 "), (999, "999 "), (1500, "1.5 k"), (999_999, "1 M"), (4_294_967_296, "4.29 G")],
)
def test_counts_are_scaled(number: int, text: str) -> None:
    assert scaled(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (4096, "4,096 bytes"),
        (4_294_967_296, "4,294,967,296 bytes (4.29 GB)"),
        (999 * 10**24, f"{999 * 10**24:,} bytes"),
        (10**400, f"{10**400:,} bytes"),
    ],
)
def test_amounts_of_any_size_have_words(number: int, text: str) -> None:
    assert amount(number) == text
