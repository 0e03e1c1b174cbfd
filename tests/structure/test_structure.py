"""The house rules that a reader relies on, checked from the source text."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"weft": "frontend", "weftc": "compiler", "weftrt": "runtime"}
MAY_IMPORT = {
    "weft": {"weft", "weftc", "weftrt"},
    "weftc": {"weftc", "weftrt"},
    "weftrt": {"weftrt"},
}
FILES = [
    (package, path)
    for package, root in SOURCES.items()
    for path in sorted((ROOT / root / package).rglob("*.py"))
]


def _imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize(("package", "path"), FILES, ids=lambda x: str(getattr(x, "name", x)))
def test_imports_run_one_way(package: str, path: Path) -> None:
    tops = {name.split(".")[0] for name in _imports(ast.parse(path.read_text()))}
    assert tops & set(SOURCES) <= MAY_IMPORT[package]


def test_environment_is_read_in_one_file() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for _, path in FILES
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    ]
    assert readers == ["runtime/weftrt/knobs.py"]


def test_compiler_touches_no_files_devices_or_clocks() -> None:
    forbidden = {"os", "pathlib", "shutil", "tempfile", "time", "socket", "ctypes", "subprocess"}
    for package, path in FILES:
        if package == "weftc":
            tops = {name.split(".")[0] for name in _imports(ast.parse(path.read_text()))}
            assert not tops & forbidden, path


@pytest.mark.parametrize(("package", "path"), FILES, ids=lambda x: str(getattr(x, "name", x)))
def test_files_fit_in_a_head(package: str, path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 700


def test_every_public_name_has_a_docstring() -> None:
    bare = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for _, path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not any("overload" in ast.dump(d) for d in node.decorator_list)
    ]
    assert not bare


def _members() -> dict[str, set[str]]:
    """The fields and methods of every class, by its name."""
    found: dict[str, set[str]] = {}
    for _, path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                names = found.setdefault(node.name, set())
                for inner in ast.walk(node):
                    if isinstance(inner, ast.FunctionDef):
                        names.add(inner.name)
                    elif isinstance(inner, ast.AnnAssign):
                        names.add(ast.unparse(inner.target).removeprefix("self."))
    return found


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_pages_name_what_there_is(page: Path) -> None:
    members = _members()
    files = "".join(f"/{path.relative_to(ROOT)}\n" for _, path in FILES)
    missing = []
    for name in re.findall(r"`([\w./]+)`", page.read_text()):
        owner, _, member = name.rpartition(".")
        path = name if name.endswith(".py") else name.rstrip("/").replace(".", "/")
        if path != name and not name.endswith("/") and owner in members:
            missing += [name] * (member not in members[owner])
        elif path.startswith(("weft/", "weftc/", "weftrt/")) or path.endswith(".py"):
            module = path if member != member.title() else owner.replace(".", "/")
            module = module.removesuffix(".py")
            there = f"/{module}.py\n" in files or f"/{module}/" in files or (ROOT / name).exists()
            missing += [name] * (not there)
    assert not missing


@pytest.mark.parametrize("package", SOURCES)
def test_each_package_imports_with_only_the_roots_below_it(package: str) -> None:
    roots = [str(ROOT / SOURCES[name]) for name in MAY_IMPORT[package]]
    modules = [
        ".".join(path.relative_to(ROOT / SOURCES[package]).with_suffix("").parts)
        for owner, path in FILES
        if owner == package and path.name != "__main__.py"
    ]
    code = "import importlib, sys\n" + "\n".join(
        f"importlib.import_module({m.removesuffix('.__init__')!r})" for m in modules
    )
    # -S would hide numpy; an editable install's path entries for the other roots are dropped.
    others = [str(ROOT / root) for name, root in SOURCES.items() if name not in MAY_IMPORT[package]]
    prologue = f"import sys; sys.path = [p for p in sys.path if p not in {others!r}]\n"
    done = subprocess.run(
        [sys.executable, "-c", prologue + code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)},
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr


def test_importing_weft_does_not_load_llvm() -> None:
    code = "import sys, weft; sys.exit('llvmlite' in sys.modules)"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / r) for r in SOURCES.values())
    }
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
