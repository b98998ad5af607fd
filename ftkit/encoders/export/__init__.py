"""A fine-tuned encoder in other forms, for other runtimes."""
