"""The fake provider: it signs, sends, repeats and records callbacks as the real IM services do."""
