"""The commands of `provider-mock`: a file each, which holds the command of its name. What they share is in `shared`."""
