"""The server put together, started and stopped: the only room that knows all the others."""
