"""Where histories come from."""
