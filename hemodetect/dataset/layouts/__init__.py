"""Layouts of labelled sets whose studies are DICOM or NIfTI, one module a layout.

Each module has `studies(root, files)`: the labelled studies in a folder, or None where the folder has
another layout; and `EXPECTED`, its layout in words for error messages.
"""
