"""Small real data sets found inside installed packages: nothing is downloaded."""

from weft.data.images import Images, batches, digits, mnist5k, split

__all__ = ["Images", "batches", "digits", "mnist5k", "split"]
