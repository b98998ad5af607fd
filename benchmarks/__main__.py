"""`python -m benchmarks NAME`: runs the measurement of that name; only its own module is loaded."""

from __future__ import annotations

import importlib
import sys

NAMES = {
    "train": "fine-tuning against the original's loop, a tuned Trainer and the machine's peak",
    "serve": "requests against the original's scoring script, a plain pipeline and the raw engine",
    "quality": "test accuracy on SST-2 sentences and TREC questions",
    "datasets": "macro F1 beside TF-IDF with logistic regression, on a folder of recipes",
    "search": "twenty trials with and without the bandit policy",
    "data": "seconds and memory between a table on the disk and a trial's tokens",
    "overhead": "commands, and a run with a trivial model",
    "gate": "how often promotion tests err, on simulated models",
    "checkpoint": "what a checkpoint inside a trial costs",
    "telemetry": "what telemetry costs a request",
    "processes": "a trial of two processes against one of a single process",
}


def main() -> None:
    """Run the measurement that the command line names."""
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if name not in NAMES:
        print(f"usage: python -m benchmarks {'|'.join(NAMES)} [options]\n")
        print("\n".join(f"    {known:10} {summary}" for known, summary in NAMES.items()))
        print("\nOptions of each: python -m benchmarks NAME --help")
        sys.exit(0 if name in ("-h", "--help") else 2)
    importlib.import_module(f"benchmarks.{name}").main(arguments)


if __name__ == "__main__":
    main()
