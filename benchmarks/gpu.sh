#!/usr/bin/env bash
# Every check that needs a GPU, in less than eight minutes: what it computes, then its speed and memory beside the original's loop and the
# tuned Trainer. From the root of a checkout with everything installed (make install): benchmarks/gpu.sh [FOLDER FOR RESULTS]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/gpu}
mkdir -p "$out"
python=${PYTHON:-.venv/bin/python}
"$python" -c 'import torch; assert torch.cuda.is_available(), "there is no GPU that torch can use"'
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv | tee "$out/gpu.txt"

timeout 120 "$python" -m pytest -q tests/encoders/test_gpu.py tests/encoders/test_packing.py 2>&1 | tee "$out/tests.txt"

# bert-base's shape with random weights: no hub is needed.
"$python" -c '
import sys
from ftkit import plugins
from benchmarks.tuning import make_large
make_large(sys.argv[1], str(plugins.load().find("backbones", "minilm")().source()))
' "$out/bert-base"

timeout 330 "$python" -m benchmarks train --rows 1200 --epochs 1 --seeds 2 --batch-size 16 --length 512 --backbone bert-base-cased \
    --checkpoint "$out/bert-base" --contenders limit original tuned_trainer ftkit --json "$out/train.json" | tee "$out/train.txt"
