"""The failures of the suite for as long as wanted, and those that take long: `python -m tests.torture --seconds N`."""
