"""Explains checks: where each comes from, what it sends, what passes, why it matters, how one fails it and mends that.

All of it is read off the check: its decorator, its docstring, the contracts of the providers, and `remedies`.
"""
