"""Composes, starts and stops the server; the only room that imports all others."""
