"""A run's folder, its state, the machine it ran on, and a preview of what it would do and cost."""
