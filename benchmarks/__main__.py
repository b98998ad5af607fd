"""`python -m benchmarks NAME`: runs the measurement of that name; only its own module is loaded."""

from __future__ import annotations

import importlib
import sys

NAMES = {
    "train": "fine-tuning against the original's loop, a tuned Trainer and the machine's peak",
    "serve": "requests against the original's scoring script, a plain pipeline and the raw engine",
    "quality": "test accuracy on SST-2 sentences and TREC questions",
    "datasets": "macro F1 beside TF-IDF with logistic regression, on a folder of recipes",
    "tasks": "stars with and without their order, and two reviews of one product or not",
    "long_texts": "test accuracy by the beginning of long texts, their beginning and end, and windows",
    "tuning": "training a part of a model, computing layers again, and learning from a teacher",
    "search": "twenty trials with and without the bandit policy",
    "data": "seconds and memory between a table on the disk and a trial's tokens",
    "overhead": "commands, and a run with a trivial model",
    "gate": "how often promotion tests err, on simulated models",
    "abstain": "how often a promised risk of the answers is exceeded, on simulated models",
    "canary": "how often a rollout errs about live traffic, on simulated deployments",
    "rollout": "requests lost, late or answered wrongly while versions replace each other, and under overload",
    "processes": "a trial of two processes against one of a single process",
    "checkpoint": "what a checkpoint inside a trial costs",
    "faults": "kills at random moments of whole runs",
    "telemetry": "what telemetry costs a request",
    "fuzz": "damaged input for all that ftkit reads from a disk or a network",
}


def main() -> None:
    """Run the measurement that the command line names."""
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if name not in NAMES:
        print(f"usage: python -m benchmarks {'|'.join(NAMES)} [options]\n")
        print("\n".join(f"    {known:11} {summary}" for known, summary in NAMES.items()))
        print("\nOptions of each: python -m benchmarks NAME --help")
        sys.exit(0 if name in ("-h", "--help") else 2)
    importlib.import_module(f"benchmarks.{name}").main(arguments)


if __name__ == "__main__":
    main()
