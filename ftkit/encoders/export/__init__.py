"""Exports of a fine-tuned encoder for other runtimes than torch."""
