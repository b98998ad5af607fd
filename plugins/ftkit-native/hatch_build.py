"""Compiles the library into a wheel, or in place for an editable install; where it cannot, the wheel is of Python alone.

`python hatch_build.py` compiles it in place. CXX names another compiler than gcc.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
LIBRARY = "ftkit_native/_library.so"

FLAGS = [
    "-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-math-errno",
    "-Wall", "-Wextra", "-Wno-uninitialized", "-Wno-maybe-uninitialized",  # GCC warns of its own intrinsics
]  # fmt: skip
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni"]
SOURCES = {
    "engine": [],
    "pool": [],
    "kernels_avx2": AVX2,
    "kernels_avx512": AVX512,
    "kernels_avx512_bf16": [*AVX512, "-mavx512bf16"],
    "kernels_amx": [*AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16", "-mamx-int8"],
}
"""Each file, and what it may use of a processor: which of the kernels runs is decided when the library is loaded."""

TAG = "py3-none-manylinux_2_28_x86_64" if platform.libc_ver()[0] == "glibc" else "py3-none-linux_x86_64"
"""The library needs glibc alone, and nothing of it that is newer than 2.14: a test holds that."""


class NotCompiled(Exception):
    """Why there is no library, in a sentence."""


def compile_library(to: Path) -> None:
    """Compile the library into a file. Raises: NotCompiled."""
    with tempfile.TemporaryDirectory(prefix="ftkit-native-") as folder:
        new = to.with_suffix(f".{os.getpid()}.new")  # a library that is in use keeps its file
        link(objects(Path(folder)), new, "-shared", "-lm")
        new.replace(to)


def objects(folder: Path, *flags: str) -> list[Path]:
    """Compile every file into a folder, with these flags beside its own. Raises: NotCompiled."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NotCompiled(
            f"the library is for Linux on x86-64, and this is {platform.system()} on {platform.machine()}"
        )

    def compiled(name: str) -> Path:
        output = folder / f"{name}.o"
        run(*_compiler(), *FLAGS, *SOURCES[name], *flags, "-c", ROOT / "source" / f"{name}.cpp", "-o", output)
        return output

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(compiled, SOURCES))


def link(parts: Sequence[Path], to: Path, *flags: str) -> None:
    """Make a file of what `objects` compiled. Raises: NotCompiled."""
    run(*_compiler(), *parts, "-o", to, *flags)


def run(*command: str | Path) -> None:
    """Run a compiler. Raises: NotCompiled."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotCompiled(f"there is no C++ compiler: {error}") from error
    if result.returncode:
        raise NotCompiled(f"the C++ compiler failed:\n{result.stderr[-4000:]}")


def _compiler() -> list[str]:
    """The driver for C: the sources are C++, and use nothing of its library."""
    return shlex.split(os.environ.get("CXX", "")) or [shutil.which("gcc") or shutil.which("clang") or "cc"]


if __name__ == "__main__":
    compile_library(ROOT / LIBRARY)
else:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class Library(BuildHookInterface[Any]):
        """Adds the library to the wheel, and says for which systems that then is."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile; in an editable install the library goes beside the modules."""
            self._folder = tempfile.mkdtemp(prefix="ftkit-native-")
            path = ROOT / LIBRARY if version == "editable" else Path(self._folder) / "library.so"
            try:
                compile_library(path)
            except NotCompiled as error:
                self.app.display_warning(f"ftkit-native is installed without its library, and offers nothing: {error}")
                return
            build_data["pure_python"], build_data["tag"] = False, TAG
            if version != "editable":
                build_data["force_include"][str(path)] = LIBRARY

        def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
            """Remove what was made for the build."""
            shutil.rmtree(self._folder, ignore_errors=True)
