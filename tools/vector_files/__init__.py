"""The files of formats/vectors, made without code of Lodge; see tools/write_vectors.py."""
