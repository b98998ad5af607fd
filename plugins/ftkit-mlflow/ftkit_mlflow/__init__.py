"""MLflow as ftkit's model registry: a SQLite file by default, any MLflow server by option."""
