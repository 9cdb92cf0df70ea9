"""Client protocols as pure functions: an answer in, bytes out. No I/O, no Tornado."""
