"""What the tool does with tracking plans: draft one, compare traffic with it, and show it to people and editors."""
