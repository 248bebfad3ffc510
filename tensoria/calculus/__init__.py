"""Derivatives whose variance is right."""
