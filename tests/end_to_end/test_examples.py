"""The examples run, and say what their texts promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROMISES = {
    "fixed_point.py": "as NumPy's",
    "gaussian_process.py": "as NumPy's",
    "hessian_free_newton.py": "as NumPy's",
    "kalman_filter.py": "as NumPy's",
    "logistic_regression.py": "accuracy 0.9",
    "look_inside.py": "== asm",
    "meta_learning.py": "as NumPy's",
    "neural_ode.py": "as NumPy's",
    "recurrent_network.py": "it has learned to spell",
}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_example(path: Path) -> None:
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert PROMISES[path.name] in done.stdout
