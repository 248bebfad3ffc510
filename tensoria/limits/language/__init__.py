"""The language of Tensor Programs: types, instructions, the builder, classification, and how programs print."""
