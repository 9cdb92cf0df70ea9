"""What is wrong with the settings, in one line."""


class SettingsError(Exception):
    """A setting is wrong or unknown. The message is one line, names it and shows no secret."""
