"""Weft's derivatives are torch's, on torch's own samples of its functions, in float64.

Needs torch and expecttest; without them everything here is skipped. What each function is in Weft
stands in the tables of tests/peers/functions/, where the two disagree in disagreements.py."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

_MISSING = "torch's samples need torch and expecttest, which are not installed"
pytest.importorskip("expecttest", reason=_MISSING)
torch = pytest.importorskip("torch", reason=_MISSING)

from tests.peers.comparison import Tally, compare  # noqa: E402
from tests.peers.disagreements import DISAGREEMENTS  # noqa: E402
from tests.peers.functions import (  # noqa: E402
    elementwise,
    fourier,
    matrices,
    movement,
    networks,
    reductions,
)
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

TABLES = (elementwise, reductions, movement, matrices, networks, fourier)
FUNCTIONS = {name: function for module in TABLES for name, function in module.TABLE.items()}


@pytest.fixture(autouse=True)
def _quiet_and_repeatable() -> Iterator[None]:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_torch(name: str, record_property: pytest.RecordProperty) -> None:
    tally = Tally()
    for info in op_db:
        if info.name == name:
            compare(FUNCTIONS[name], info, matrices.GAUGES.get(name), tally)
    record_property("samples", str(tally))
    print(f"{name}: {tally}")
    assert set(tally.differing) == set(DISAGREEMENTS.get(name, ())), tally
    assert tally.checked, tally


def test_there_are_enough_functions_and_all_disagreements_are_of_them() -> None:
    assert len(FUNCTIONS) >= 120
    assert len(FUNCTIONS) == sum(len(module.TABLE) for module in TABLES)
    assert set(DISAGREEMENTS) <= set(FUNCTIONS)
