"""The attacks of tools/development/assault, one module for each kind."""
