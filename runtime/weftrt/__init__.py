"""weftrt: the runtime. Bytes, devices, programs, arrays, caches, threads, errors, knobs."""
