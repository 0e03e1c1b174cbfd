"""The seeded faults fit the code as it is now: who changes a function sees at once that a fault in
tests/faults/stages has to be written anew."""

from __future__ import annotations

from tests.faults.plant import planted
from tests.faults.table import FAULTS


def test_every_fault_can_be_planted() -> None:
    for faults in FAULTS.values():
        for fault in faults:
            with planted(fault.place, fault.right, fault.wrong):
                pass
