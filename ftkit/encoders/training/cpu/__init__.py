"""What makes the loop fast on CPUs: a reader may skip it, for what is computed is the same."""
