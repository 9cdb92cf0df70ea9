"""Authentication: API keys, tokens of an identity provider, and tickets. No HTTP server in it."""
