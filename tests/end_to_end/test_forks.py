"""Processes that fork while their threads trace, compile and run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

FORKING = """
import faulthandler, gc, os, random, signal, sys, threading, time
import numpy as np
import weft as wf

def fresh(number):
    return wf.jit(lambda x: wf.sum(wf.exp(wf.sin(x * number)) @ wf.ones((4, 4))))

def answer(number):
    return float(fresh(number)(x))

x = wf.ones((4,))
want = {number: answer(number) for number in range(3)}
stop = threading.Event()
errors = []

def work(seed):
    number = seed * 1000.0
    try:
        while not stop.is_set():
            number += 1
            answer(number)
            wf.add(x, number)
    except BaseException as error:
        errors.append(error)

def check():
    faulthandler.dump_traceback_later(100, exit=True)
    assert gc.isenabled(), "the collector is off"
    assert all(answer(number) == want[number] for number in want)
    assert answer(0.5 + os.getpid()) == answer(0.5 + os.getpid())
    assert gc.isenabled(), "the collector stays off"

workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
for worker in workers: worker.start()
draw = random.Random(7)
children = []
for _ in range(CHILDREN):
    time.sleep(draw.uniform(0, 0.03))
    child = os.fork()
    if child == 0:
        try:
            check()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
    if len(children) % 8 == 0:
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
        children.clear()
stop.set()
for worker in workers: worker.join()
assert not errors, errors
check()
os._exit(0)
"""


@pytest.mark.parametrize("cached", [False, True])
def test_children_go_on_whatever_threads_did(cached: bool, tmp_path: os.PathLike[str]) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "WEFT_CACHE": str(tmp_path) if cached else "off",
    }
    result = subprocess.run(
        [sys.executable, "-c", FORKING.replace("CHILDREN", "32")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-3000:]
