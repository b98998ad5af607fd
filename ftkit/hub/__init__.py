"""A bundle as a model of a Hugging Face hub: the files that transformers reads, the bundle itself, and a card for both."""
