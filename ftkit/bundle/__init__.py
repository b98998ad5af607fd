"""A trained model on disk: the bundle, its promotion record, its model card, and what other machines must install for it."""
