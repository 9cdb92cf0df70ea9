"""Client protocols as pure functions from answers to bytes, without I/O and Tornado."""
