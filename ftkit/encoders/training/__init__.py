"""Fine-tuning: the loop, and what stands behind it."""
