"""From raw rows to three splits that share no text."""
