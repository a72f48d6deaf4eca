"""The long failure tests: `python -m tests.torture --seconds N`."""
