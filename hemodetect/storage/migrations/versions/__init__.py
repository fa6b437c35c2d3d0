"""A file a change; its revision is its number."""
