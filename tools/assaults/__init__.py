"""The attacks of tools/assault, one module for each kind."""
