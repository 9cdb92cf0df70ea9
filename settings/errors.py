"""The error for wrong settings, with a message of one line."""


class SettingsError(Exception):
    """A setting is wrong or unknown.

    The message is one line, names the setting and shows no secret.
    """
