"""A file of rows answered by a model: its rows with label and scores, whatever their number, in a new file."""
