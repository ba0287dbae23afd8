"""All that touches Faust: its app, its consumer, and chunks that pass through it. Nothing else imports faust."""
