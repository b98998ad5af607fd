"""From TOML to a plan: every mistake of a recipe at once, each with its place."""
