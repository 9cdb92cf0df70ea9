"""The types that all rooms share: conversations, messages, blocks, prompts and usage.

It imports no other room.
"""
