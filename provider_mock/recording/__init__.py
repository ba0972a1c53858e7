"""Real traffic: recorded between a provider and a receiver, made safe to keep, read again and sent again."""
