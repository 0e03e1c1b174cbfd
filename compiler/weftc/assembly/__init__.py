"""Compiled plans -> a Program: values become numbered buffers, sizes numbered slots, regions jumps.

program       the program, and what it says of itself
instructions  kernels and regions in order; which buffer holds which value
regions       what regions become; control: branches and loops as jumps between steps of bodies
donation      which results take over the memory of what is given up
size_slots    sizes by number
estimate      how long all that runs, about
buffer_uses   what kernels do with their buffers, for whoever watches
compiled      what the stages hand over
"""
