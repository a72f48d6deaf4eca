"""The endpoints of the original at the root, with exactly its names, fields and units; docs/original.md says what was mended."""
