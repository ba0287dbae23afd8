"""The pages, one module each: a function that asks the API and renders a template."""
