"""Trainings that run in processes of their own and outlive the page."""
