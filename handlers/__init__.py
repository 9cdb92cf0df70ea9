"""HTTP in: one module for each resource, ending with its route table. Parse, call, write."""
