"""A run's folder, how it stands, what it happened on, and what it would cost."""
