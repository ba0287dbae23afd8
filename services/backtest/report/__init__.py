"""The report for people: what it says, as Markdown and as a page with plots."""
