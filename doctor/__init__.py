"""`server.py doctor`: what is wrong, before the server's readers find out, and what to do for it.

It looks and changes nothing: it may be run beside servers that serve.
"""
