"""Functions made of functions: derivatives, and what runs over the rows of arrays."""
