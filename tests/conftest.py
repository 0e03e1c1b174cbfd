"""Options and fixtures every test shares."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite golden files")


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """What thousands of tests are made of, and what those before have left, is no garbage of a
    module's: collections need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests use a cache folder of their own, empty at the start, and verify after every pass."""
    patch = pytest.MonkeyPatch()
    patch.setenv("WEFT_VERIFY", "1")
    patch.setenv("WEFT_CACHE", str(tmp_path_factory.mktemp("weft-cache")))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(name, text): `text` equals tests/golden/<name>; `--bless` rewrites the file."""

    def compare(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--bless"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"no golden file {name}: run pytest --bless"
        assert text == path.read_text()

    return compare
