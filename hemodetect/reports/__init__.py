"""What leaves the program: JSON Lines, CSV, text."""
