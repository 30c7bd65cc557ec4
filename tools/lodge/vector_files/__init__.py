"""The files of formats/vectors, made without code of Lodge; see write_vectors.py."""
