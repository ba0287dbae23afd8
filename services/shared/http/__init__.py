"""The HTTP server inside each process: what all serve, and the bounds of its connections."""
