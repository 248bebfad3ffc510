"""Operations on a linear map ^i _j and a vector ^j that compilers must take, whatever the framework."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tensoria as tn

__all__ = ["OPERATIONS", "V", "i", "j"]

V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
NEURONS = tn.Space("neurons", 3, privileged=True)
i, j, k = tn.indices("i j k", V)
(n,) = tn.indices("n", NEURONS)
SHEARED = V.basis("sheared", np.triu(np.ones((3, 3))))

Function = Callable[[tn.Tensor, tn.Tensor], tn.Tensor]
OPERATIONS: dict[str, Function] = {
    "product": lambda A, v: A * v,
    "composition": lambda A, v: A @ v,
    "sum": lambda A, v: A + A,
    "multiple": lambda A, v: 2 * A - A / 3,
    "lowering": lambda A, v: A.lowered(),
    "raising and inner product": lambda A, v: tn.inner(v, v) * v.lowered().raised(),
    "einsum": lambda A, v: tn.einsum("^i _j, ^j -> ^i", A, v),
    "network": lambda A, v: tn.einsum("^i _j, ^j _k, ^k -> ^i", A, A, v),
    "subscript": lambda A, v: A[j, -k] * v[k],
    "trace": lambda A, v: A[i, -i] * v,
    "fusing": lambda A, v: A.fused("i j", "k").split("k", "i j") * v,
    "pattern": lambda A, v: A.rearrange("i j -> j i"),
    "multilinear call": lambda A, v: A(None, v),
    "symmetric part": lambda A, v: A.lowered("i").symmetrised("i j"),
    "Levi-Civita": lambda A, v: tn.levi_civita(-i, -j, -k, backend=v.backend, dtype="float32") * v,
    "Hodge star": lambda A, v: tn.hodge(v.lowered()),
    "brackets": lambda A, v: tn.einsum("^i _j, ^j, ^k -> ^[i k]", A, v, v)["^(a b)"],
    "a declared symmetry": lambda A, v: (2 * (v * v.renamed(j="k"))["^(j k)"]).lowered().permuted("k j"),
    "wedge": lambda A, v: tn.wedge(v, A * v),
    "wedge of a form that is not declared": lambda A, v: tn.wedge(tn.Tensor(tn.wedge(v, A * v).array)[i, j], v),
    "interior product": lambda A, v: tn.interior(v, tn.wedge(v, A * v).lowered()),
    "determinant": lambda A, v: tn.det(A) * v,
    "pullback": lambda A, v: tn.pullback(A, v.lowered()),
    "Hodge star of a metric": lambda A, v: tn.hodge(v.lowered(), metric=(A * A.lowered("i")["_i _k"])["_(j k)"]),
    "renaming": lambda A, v: A.renamed(i="q"),
    "change of basis": lambda A, v: A.to_basis(SHEARED),
    "labelling": lambda A, v: tn.Tensor(A.array)[i, -j] * v,
    "adjoint": lambda A, v: A.adjoint(),
    "relu in a privileged basis": lambda A, v: tn.relu(tn.Tensor(v.array)[n]),
    "softmax": lambda A, v: tn.softmax(tn.Tensor(A.array)["q", "k"], "k"),
    "sum over a name": lambda A, v: tn.sum(tn.Tensor(A.array)["q", n], axis="n"),
}
