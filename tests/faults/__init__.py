"""System calls that fail, clocks that jump, kills between two instructions: what the machine can do to the package."""
