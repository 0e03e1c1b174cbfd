"""WEFT_CHECK_MEMORY=1: kernels run on copies of their buffers, between guard pages."""
