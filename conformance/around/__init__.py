"""What stands around the receiver: its process, which we start and kill, and a proxy in front of its store."""
