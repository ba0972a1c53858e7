"""Searches for sequences of deliveries that a provider may make and that a receiver does not stand."""
