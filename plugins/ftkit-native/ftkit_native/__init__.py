"""Computes text classifiers on processors by a library of its own: packed tokens, weights in bf16 or in 8-bit integers.

`export` writes what `open_model` reads. Neither needs torch, but for the model that is exported.
"""

from ftkit_native.architectures import Unsupported, export
from ftkit_native.library import Unavailable, kernels, require
from ftkit_native.model import Model, open_model
from ftkit_native.weights import Damaged

__all__ = ["Damaged", "Model", "Unavailable", "Unsupported", "export", "kernels", "open_model", "require"]
