"""What this project promises, run and written down: `make prove`."""
