"""Client connections: listening, accepting, and the limits of heads and bodies."""
