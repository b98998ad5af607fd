"""A fine-tuned encoder answering: by torch, or by an exported engine."""
