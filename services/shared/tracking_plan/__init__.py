"""The tracking plan: what the company's events, pages and traits are called, what they hold, and what they mean."""
