"""Any bytes for every decoder of the core; the targets are in rust/fuzz."""
