"""What the operator sees: log, metrics and traces. They watch the relay; it waits for none."""
