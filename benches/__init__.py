"""What it costs: each figure beside its peer or its physical limit in the same run."""
