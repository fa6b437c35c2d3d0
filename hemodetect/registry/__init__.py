"""Bundles on disk, releases, and their promotion."""
