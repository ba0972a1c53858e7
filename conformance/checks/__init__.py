"""The checks, a module per family. A new check is a function, a new family a file; nothing else changes."""
