"""AG-UI, and what TanStack AI adds to it: runs, and the threads that they are part of."""
