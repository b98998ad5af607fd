"""Measures what a trial's processes use: CPU and memory of the whole tree, and the GPUs given to it."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from typing import Any

from ftkit.searching.attempts import Sample

MEGABYTE = 2**20


def cores() -> int:
    """Cores this process may use, a container's quota respected."""
    import joblib

    return max(1, joblib.cpu_count())


def gpus() -> tuple[str, ...]:
    """GPUs that trials may use, as CUDA_VISIBLE_DEVICES names them; none where there is no NVIDIA driver."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(device.strip() for device in chosen.split(",") if device.strip())
    library = _nvml()
    if library is None:
        return ()
    try:
        handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
        return tuple(library.nvmlDeviceGetUUID(handle) for handle in handles)
    except library.NVMLError:
        return ()


def deal(devices: Sequence[str], trials: int) -> list[tuple[str, ...]]:
    """Devices for each of so many trials at a time: an even share each, or one device for several trials."""
    if not devices:
        return [()] * trials
    if len(devices) >= trials:
        return [tuple(devices[index::trials]) for index in range(trials)]
    return [(devices[index % len(devices)],) for index in range(trials)]


class Meter:
    """Samples what one process and its children use; 100 % is one busy core."""

    def __init__(self, pid: int, devices: Sequence[str] = ()) -> None:
        self.pid = pid
        self.samples: list[Sample] = []
        self._handles = _handles(devices)
        self._cpu = 0.0
        self._at = time.monotonic()

    def sample(self) -> Sample | None:
        """What the processes use now, or None when they are gone."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            tree = [process, *process.children(recursive=True)]
        except psutil.Error:
            return None
        cpu, memory, pids = 0.0, 0, set()
        for process in tree:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except psutil.Error:
                continue
            cpu += times.user + times.system
            pids.add(process.pid)
        if not memory:  # gone, or a zombie whose parent has not waited for it yet
            return None
        now = time.monotonic()
        percent = 100 * max(0.0, cpu - self._cpu) / max(now - self._at, 1e-3)
        self._cpu, self._at = cpu, now
        sample = Sample(percent, memory / MEGABYTE, *_gpu(self._handles, pids))
        self.samples.append(sample)
        return sample

    def resources(
        self, cpu_seconds: float = 0.0, seconds: float = 0.0, memory_peak_mb: float = 0.0
    ) -> dict[str, float]:
        """Means and peaks so far; exact numbers that the process counted itself replace those of the samples."""
        numbers: dict[str, float] = {}
        if cpu_seconds and seconds:
            numbers["cpu_percent"] = 100 * cpu_seconds / seconds
        elif self.samples:
            numbers["cpu_percent"] = sum(each.cpu_percent for each in self.samples) / len(self.samples)
        if peak := max([memory_peak_mb, *(each.memory_mb for each in self.samples)]):
            numbers["memory_peak_mb"] = peak
        if busy := [each.gpu_percent for each in self.samples if each.gpu_percent is not None]:
            numbers["gpu_percent"] = sum(busy) / len(busy)
        if held := [each.gpu_memory_mb for each in self.samples if each.gpu_memory_mb is not None]:
            numbers["gpu_memory_peak_mb"] = max(held)
        return {name: round(value, 1) for name, value in numbers.items()}


@functools.cache
def _nvml() -> Any:
    """NVIDIA's management library, or None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _handles(devices: Sequence[str]) -> list[Any]:
    library = _nvml() if devices else None
    if library is None:
        return []
    handles = []
    for device in devices:
        try:
            if device.isdigit():
                handles.append(library.nvmlDeviceGetHandleByIndex(int(device)))
            else:
                handles.append(library.nvmlDeviceGetHandleByUUID(device))
        except library.NVMLError:
            continue
    return handles


def _gpu(handles: Sequence[Any], pids: set[int]) -> tuple[float | None, float | None]:
    """Mean load of the devices, and the memory these processes hold on them.

    Inside a container the driver numbers processes otherwise or hides them: then a device's whole memory use counts.
    """
    library = _nvml() if handles else None
    if library is None:
        return None, None
    loads, memory = [], 0
    try:
        for handle in handles:
            loads.append(library.nvmlDeviceGetUtilizationRates(handle).gpu)
            running = library.nvmlDeviceGetComputeRunningProcesses(handle)
            own = [each.usedGpuMemory for each in running if each.pid in pids and each.usedGpuMemory is not None]
            memory += sum(own) if own else library.nvmlDeviceGetMemoryInfo(handle).used
    except library.NVMLError:
        return None, None
    return sum(loads) / len(loads), memory / MEGABYTE
