"""csv, tsv, jsonl and parquet files as ftkit data sets."""
