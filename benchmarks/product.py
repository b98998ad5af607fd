"""The limit of fine-tuning: how fast this machine multiplies matrices, and how many tokens a second that allows."""

from __future__ import annotations

import time
from typing import Any

FLOP = 6
"""Operations per token and parameter: 2 forward, 4 backward. Source: Kaplan et al. 2020, "Scaling Laws", section 2.1."""


def peak(parameters: int, side: int = 0) -> dict[str, float]:
    """TFLOP/s of a large product in bf16 and in fp32, the best of many, and what bf16 allows for so many parameters."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    side = side or (8192 if device == "cuda" else 2048)
    bf16 = _best(torch, device, torch.bfloat16, side)
    return {
        "tokens_per_s": bf16 / (FLOP * parameters),
        "bf16_tflops": bf16 / 1e12,
        "fp32_tflops": _best(torch, device, torch.float32, side) / 1e12,
    }


def _best(torch: Any, device: str, number_format: Any, side: int, seconds: float = 2.0) -> float:
    """Operations per second of the fastest product."""
    one, other = (torch.randn(side, side, device=device).to(number_format) for _ in range(2))
    out = torch.empty_like(one)
    shortest, deadline, times = float("inf"), time.perf_counter() + seconds, 0
    while times < 5 or time.perf_counter() < deadline:
        start = time.perf_counter()
        torch.matmul(one, other, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        shortest, times = min(shortest, time.perf_counter() - start), times + 1
    return 2 * side**3 / shortest
