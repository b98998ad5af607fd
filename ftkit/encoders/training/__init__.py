"""Fine-tuning: the training loop, and what it uses."""
