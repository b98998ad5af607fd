"""A fine-tuned encoder that answers texts, by torch or by an exported engine."""
