"""Endpoints on Ray Serve."""
