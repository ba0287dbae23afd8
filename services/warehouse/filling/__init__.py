"""From the topics into the store."""
