"""Deliveries over real sockets."""
