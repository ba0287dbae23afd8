"""What people have recorded of all accounts, as pages show it."""
