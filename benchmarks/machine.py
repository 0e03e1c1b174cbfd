"""The machine that a run took place on, in words and figures."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from benchmarks import peers
from benchmarks.records import Machine
from weftrt.cpu.host import host


def describe() -> Machine:
    """This one."""
    target = host()
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        features=target.features,
        vector_bits=target.vector_bits,
        l1_bytes=target.l1_bytes,
        l2_bytes=target.l2_bytes,
        l3_bytes=_l3_bytes(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={"python": platform.python_version(), "weft": version("weft"), **peers.versions()},
    )


def _cpu() -> str:
    """The name, and the family and model, which virtual machines do not hide."""
    text = _content("/proc/cpuinfo")
    found = [
        re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
        for name in ("model name", "cpu family", "model")
    ]
    if not all(found):
        return platform.processor() or platform.machine()
    name, family, model = (match[1].strip() for match in found if match)
    return f"{name}, family {family} model {model}"


def _l3_bytes() -> int:
    text = _content("/sys/devices/system/cpu/cpu0/cache/index3/size").strip()
    return int(text[:-1]) << 10 if text.endswith("K") else 0


def _content(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
