"""OpenAI's API for its clients: chat completions, responses and conversations."""
