"""Compiled plans -> a Program: values become numbered buffers, sizes numbered slots, regions jumps.

program       the program, and what it says of itself
instructions  kernels and regions in order; which buffer holds which value
regions       what regions become; control: branches and loops as jumps between steps of bodies
estimate      how long all that runs, about
size_slots    sizes by number
compiled      what the stages hand over
"""
