"""The domain: an answer only grows, a reader is a cursor on it. No HTTP and no database here."""
