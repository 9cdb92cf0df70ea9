"""`server.py doctor`: checks settings, machine, store and providers, and says what to do.

It changes nothing, so it may be run beside servers.
"""
