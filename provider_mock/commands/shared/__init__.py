"""What commands share: what is typed, what is printed, and how a running server is asked."""
