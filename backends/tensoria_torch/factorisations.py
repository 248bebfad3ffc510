"""SVD and eigenvalue problems whose derivatives stay finite at equal values: PyTorch's kernels, tensoria's formulas.

PyTorch's own derivatives divide by differences of singular values and of eigenvalues. The formulas are in
`tensoria.spectral`; here they become `autograd.Function`s, for both modes, nested and mapped. Without anybody asking
for derivatives, the kernels are called directly.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import array_api_compat.torch as base
import torch
from torch.autograd import Function, forward_ad

from tensoria import spectral
from tensoria.errors import MatrixError
from tensoria.spectral import Arithmetic, Near, nearly, no_basis

__all__ = ["LINALG", "eigh", "svd", "watched"]

Array = Any


class SVDResult(NamedTuple):
    """What `linalg.svd` returns."""

    U: Array
    S: Array
    Vh: Array


class EigResult(NamedTuple):
    """What `linalg.eig` and `linalg.eigh` return."""

    eigenvalues: Array
    eigenvectors: Array


def _eye(of: Array, like: Array) -> Array:
    return torch.eye(of.shape[-1], dtype=like.dtype, device=like.device)


def _solve(a: Array, b: Array) -> Array:
    try:
        return torch.linalg.solve(a, b)
    except torch.linalg.LinAlgError:
        raise no_basis() from None


MATHS = Arithmetic(
    SimpleNamespace(**{
        name: getattr(base, name) for name in (
            "abs", "astype", "concat", "equal", "expand_dims", "greater", "less_equal", "matrix_transpose",
            "max", "real", "zeros_like",
        )
    }, conj=torch.conj, linalg=SimpleNamespace(diagonal=base.linalg.diagonal, solve=_solve)),
    lambda x: x.detach(), _eye, lambda x: bool(x.is_complex()),
)  # fmt: skip


# -- who asks for derivatives -----------------------------------------------------------------------------------------


def _levels() -> int:
    """How many transforms of `torch.func` are at work; Dynamo guards on them."""
    return len(torch._C._functorch.get_interpreter_stack() or ())


# As `torch.compiler.assume_constant_result`, which would import the compiler: more than a second, for whoever has none.
_levels._dynamo_marked_constant = True  # type: ignore[attr-defined]


def watched(x: Array) -> bool:
    """Whether somebody may ask for derivatives by an array."""
    if x.requires_grad:
        return True
    if torch.compiler.is_compiling():
        return _levels() > 0
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def _order(x: Array) -> int:
    """Up to which order derivatives are asked for inside of a transform that TorchDynamo traces, else 0.

    It would trace a function's forward part there, and take the derivatives of that.
    """
    if not torch.compiler.is_compiling():
        return 0
    levels = _levels()
    return levels + int(x.requires_grad) if levels else 0


def _applied(of: tuple[type[Function], type[Function]], x: Array, *options: Any) -> Any:
    """TorchDynamo takes no function with a forward derivative, and outside of transforms has none of these."""
    both, reverse = of
    chosen = reverse if torch.compiler.is_compiling() else both
    return chosen.apply(x, *options)  # type: ignore[no-untyped-call]


def _pushing() -> Any:
    """PyTorch (2.13) runs forward derivatives with forward derivatives switched off, so that nested ones would be 0."""
    return forward_ad._set_fwd_grad_enabled(True)


def _saved(ctx: Any) -> list[Array]:
    """What was kept for the forward mode, without the tangent that the argument still has here."""
    x, *found = ctx.saved_tensors
    return [forward_ad.unpack_dual(x).primal, *found]


class _Reverse(Function):
    """What all have: arrays are kept for both modes, options beside them."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, *ctx.options = inputs
        found = output if isinstance(output, tuple) else (output,)
        ctx.save_for_backward(x, *found)
        ctx.save_for_forward(x, *found)
        ctx.set_materialize_grads(False)


def _require_finite(x: Array, what: str) -> None:
    """Raise unless all components are finite; inside of transforms nobody has looked, and MKL's `eig` ends the process.

    Raises:
        MatrixError: they are not.
    """
    if torch.compiler.is_compiling():
        return
    try:
        finite = bool(torch.isfinite(x).all())
    except RuntimeError:  # a transformation has no numbers to show
        return
    if not finite:
        raise MatrixError(f"{what}: a component is not finite.", legal="tn.where(tn.isfinite(t), t, 0)")


# -- singular values --------------------------------------------------------------------------------------------------


class _SVD(_Reverse):
    @staticmethod
    def forward(x: Array, near: Near, full: bool) -> tuple[Array, Array, Array]:
        _require_finite(x, "svd")
        u, s, vh = torch.linalg.svd(x, full_matrices=full)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, gu: Any, gs: Any, gvh: Any) -> Any:
        x, *factors = ctx.saved_tensors
        near, full = ctx.options
        if gu is None and gs is None and gvh is None:
            return None, None, None
        again = torch.is_grad_enabled()
        return spectral.svd_pulled(MATHS, x, factors, (gu, gs, gvh), near, again, full), None, None  # type: ignore[arg-type]


class _PushedSVD(_SVD):
    @staticmethod
    def jvp(ctx: Any, tangent: Array, *_: Any) -> Any:
        with _pushing():
            x, *factors = _saved(ctx)
            near, full = ctx.options
            return spectral.svd_pushed(MATHS, x, factors, tangent, near, full)  # type: ignore[arg-type]


def svd(x: Array, close: float | None, full_matrices: bool = False) -> SVDResult:
    """The singular value decomposition; singular values count as equal that are relatively so close."""
    if not watched(x):
        return SVDResult(*torch.linalg.svd(x, full_matrices=full_matrices))
    if order := _order(x):
        found = torch.linalg.svd(x.detach(), full_matrices=full_matrices)
        return SVDResult(*spectral.svd_followed(MATHS, x, found, _near(x, close), order, full_matrices))
    return SVDResult(*_applied((_PushedSVD, _SVD), x, _near(x, close), full_matrices))


def _near(x: Array, close: float | None = None) -> Near:
    return nearly("complex" if x.is_complex() else "float", x.dtype.itemsize, close)


def _svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    return svd(x, None, full_matrices) if watched(x) else SVDResult(*torch.linalg.svd(x, full_matrices))


class _Values(_Reverse):
    """Singular values alone, whose derivative at 0 is 0."""

    @staticmethod
    def forward(x: Array, near: Near) -> Any:
        _require_finite(x, "svdvals")
        return torch.linalg.svdvals(x)

    @staticmethod
    def backward(ctx: Any, gs: Any) -> Any:
        if gs is None:
            return None, None
        x, _ = ctx.saved_tensors
        (near,) = ctx.options
        return spectral.svdvals_pulled(MATHS, svd(x, None), gs, near), None


class _PushedValues(_Values):
    @staticmethod
    def jvp(ctx: Any, tangent: Array, *_: Any) -> Any:
        with _pushing():
            x, _ = _saved(ctx)
            (near,) = ctx.options
            found = svd(x, None)
            change = spectral.svd_pushed(MATHS, x, found, tangent, near)[1]
            return change * spectral.counted(MATHS, found.S, near)


def _svdvals(x: Array, /) -> Array:
    if not watched(x) or 0 in x.shape:
        return torch.linalg.svdvals(x)
    if _order(x):
        found = svd(x, None)
        return MATHS.kept(found.S, found.S * spectral.counted(MATHS, found.S, _near(x)))
    return _applied((_PushedValues, _Values), x, _near(x))


def _matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norms that singular values make, by their derivatives."""
    if ord not in ("nuc", 2, -2) or not watched(x):
        return base.linalg.matrix_norm(x, keepdims=keepdims, ord=ord)
    values = _svdvals(x)
    out = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord > 0 else values.amin(-1)
    return out[..., None, None] if keepdims else out


# -- eigenvalues ------------------------------------------------------------------------------------------------------


class _EigH(_Reverse):
    @staticmethod
    def forward(x: Array, near: Near) -> tuple[Array, Array]:
        _require_finite(x, "eigh")
        w, v = torch.linalg.eigh(x)
        return w, v

    @staticmethod
    def backward(ctx: Any, gw: Any, gv: Any) -> Any:
        if gw is None and gv is None:
            return None, None
        x, *factors = ctx.saved_tensors
        again = torch.is_grad_enabled()
        return spectral.eigh_pulled(MATHS, x, factors, (gw, gv), *ctx.options, again), None  # type: ignore[arg-type]


class _PushedEigH(_EigH):
    @staticmethod
    def jvp(ctx: Any, tangent: Array, *_: Any) -> Any:
        with _pushing():
            x, *factors = _saved(ctx)
            return spectral.eigh_pushed(MATHS, x, factors, tangent, *ctx.options)  # type: ignore[arg-type]


def eigh(x: Array, close: float | None = None) -> EigResult:
    """Eigenvalues and eigenvectors; eigenvalues count as equal that are relatively so close."""
    if not watched(x):
        return EigResult(*torch.linalg.eigh(x))
    if order := _order(x):
        return EigResult(*spectral.eigh_followed(MATHS, x, torch.linalg.eigh(x.detach()), _near(x, close), order))
    return EigResult(*_applied((_PushedEigH, _EigH), x, _near(x, close)))


def _eigh(x: Array, /) -> EigResult:
    return eigh(x)


def _eigvalsh(x: Array, /) -> Array:
    return _eigh(x).eigenvalues if watched(x) else torch.linalg.eigvalsh(x)


class _Eig(_Reverse):
    @staticmethod
    def forward(x: Array, near: Near) -> tuple[Array, Array]:
        _require_finite(x, "eig")
        w, v = torch.linalg.eig(x)
        return w, v

    @staticmethod
    def backward(ctx: Any, gw: Any, gv: Any) -> Any:
        if gw is None and gv is None:
            return None, None
        x, *factors = ctx.saved_tensors
        found = spectral.eig_pulled(MATHS, factors, (gw, gv), *ctx.options)  # type: ignore[arg-type]
        return found if x.is_complex() else found.real, None


class _PushedEig(_Eig):
    @staticmethod
    def jvp(ctx: Any, tangent: Array, *_: Any) -> Any:
        with _pushing():
            _, *factors = _saved(ctx)
            return spectral.eig_pushed(MATHS, factors, tangent, *ctx.options)  # type: ignore[arg-type]


def _eig(x: Array, /) -> EigResult:
    if not watched(x):
        return EigResult(*torch.linalg.eig(x))
    if order := _order(x):
        return EigResult(*spectral.eig_followed(MATHS, x, torch.linalg.eig(x.detach()), _near(x), order))
    return EigResult(*_applied((_PushedEig, _Eig), x, _near(x)))


def _eigvals(x: Array, /) -> Array:
    return _eig(x).eigenvalues if watched(x) else torch.linalg.eigvals(x)


LINALG = {
    "svd": _svd, "svdvals": _svdvals, "matrix_norm": _matrix_norm, "eigh": _eigh, "eigvalsh": _eigvalsh,
    "eig": _eig, "eigvals": _eigvals,
}  # fmt: skip
"""Functions of the extension `linalg`, by name."""
