"""A model of how the journal, the drainer and the store count each execution exactly once; see docs/protocol.md."""
