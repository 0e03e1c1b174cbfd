"""weftc: the compiler. Graphs, ops, passes, fusion, schedules, loop IR, LLVM IR and CUDA C."""
