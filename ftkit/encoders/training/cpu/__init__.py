"""What makes the training loop fast on CPUs. Readers of the loop may skip it: it computes the same."""
