"""Exports a saved encoder for its engines: each kind of file by the module that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftkit.encoders.export import onnx, packed
from ftkit.encoders.inference import fast_tokenizer
from ftkit.encoders.inference import packed as runtime
from ftkit.encoders.inference.engines import FORMATS


def require_packages(engines: Sequence[str]) -> None:
    """Raises: PluginError unless everything is installed that exports these engines and computes with them."""
    for_onnx, for_native = _by_writer(engines)
    if for_onnx:
        onnx.require_packages(for_onnx)
    if for_native:
        runtime.require()


def export(folder: Path, engines: Sequence[str]) -> None:
    """Write these engines into the folder of a saved model.

    Raises: PluginError without the packages; BundleError for a model that cannot be read; StageError for one that
    cannot be exported.
    """
    require_packages(engines)
    for_onnx, for_native = _by_writer(engines)
    if for_native:
        packed.export(folder, for_native)
    if for_onnx:
        onnx.export(folder, for_onnx)
    else:
        fast_tokenizer.write(folder)


def _by_writer(engines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The engines that are written as ONNX, and those of ftkit-native."""
    native = [each for each in engines if FORMATS[each].package == runtime.PACKAGE]
    return [each for each in engines if each not in native], native
