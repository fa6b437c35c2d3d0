"""Bundles evaluated on data sets, and compared with the release."""
