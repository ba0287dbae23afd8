"""What is measured, and how: pure functions on arrays and episodes."""
