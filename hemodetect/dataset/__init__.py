"""Labelled data sets of any layout: manifest, cached arrays, audit, patient groups, splits."""
