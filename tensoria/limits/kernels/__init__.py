"""Kernels of infinitely wide networks: NNGP and NTK, by covariances that are propagated through families of vectors."""
