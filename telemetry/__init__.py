"""What the operator sees: log, metrics and traces. The relay never waits for them."""
