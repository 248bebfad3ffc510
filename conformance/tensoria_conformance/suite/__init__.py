"""The contracts, a chapter in each file; pytest runs them on every installed backend."""
