"""The native runtime: arrays, memory pool, executor, call guard and threads.

It is written in a typed subset of Python (types.py, intrinsics.py) that translate.py turns into
LLVM IR; library.py compiles it once per machine and makes Python types and functions of it.
"""
