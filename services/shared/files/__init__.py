"""Files of configuration: read, and watched for changes."""
