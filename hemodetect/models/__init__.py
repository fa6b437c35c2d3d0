"""The five families: recipes, networks and kernel models."""
