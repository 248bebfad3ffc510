"""Decompositions of tensors with many axes: CP, Tucker, tensor train, and the products and unfoldings they stand on."""
