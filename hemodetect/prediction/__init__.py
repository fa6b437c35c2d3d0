"""What the released models predict for a study."""
