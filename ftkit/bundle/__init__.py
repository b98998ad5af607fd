"""A trained model on disk: the bundle, its promotion record, its card, and what it needs elsewhere."""
