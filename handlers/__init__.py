"""HTTP handlers, one module for each resource, which ends with its route table."""
