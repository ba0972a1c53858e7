"""The commands that the gate adds to `provider-mock`, by entry points: a file each, which holds the command of its name."""
