"""The rules: how questions are admitted, answers generated and ended, and readers served.

It knows neither HTTP nor a database.
"""
