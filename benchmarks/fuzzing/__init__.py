"""Damaged input for all that ftkit reads from a disk or a network: `python -m benchmarks fuzz`."""
