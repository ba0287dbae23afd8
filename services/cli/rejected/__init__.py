"""Dead letters, for those who look into them and send the originals again: docs/rejected.md."""
