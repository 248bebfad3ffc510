"""The tour: a real transformer's circuits, computed with typed tensors on every installed backend.

Attention heads are multilinear algebra: a head's QK circuit is a bilinear form on the residual space and its OV
circuit a linear map of it (Elhage et al. 2021, A Mathematical Framework for Transformer Circuits). The tour reads the
weights of a small sentence-embedding model, builds both with typed spaces, shows which question the types refuse,
and runs the same code on each backend to see that they agree. Then the whole model is ported to them. One idea a file:
`weights` reads the model, `wordpiece` its tokens, `circuits` holds the mathematics, `agreement` runs and compares,
`encoder` ports, `heatmap` draws, `report` tells.
"""

from tensoria.tour.report import tour

__all__ = ["tour"]
