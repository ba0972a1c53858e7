"""Checks of a team's receiver: the pytest plugin, the judge and the reports."""
