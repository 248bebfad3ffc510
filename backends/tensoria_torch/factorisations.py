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
from tensoria.spectral import Arithmetic, nearly

__all__ = ["LINALG", "svd", "watched"]

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


MATHS = Arithmetic(
    SimpleNamespace(**{
        name: getattr(base, name) for name in (
            "abs", "astype", "concat", "conj", "equal", "expand_dims", "greater", "less_equal", "matrix_transpose",
            "max", "real", "zeros_like",
        )
    }, linalg=SimpleNamespace(diagonal=base.linalg.diagonal, solve=torch.linalg.solve)),
    lambda x: x.detach(), _eye, lambda x: bool(x.is_complex()),
)  # fmt: skip


# -- who asks for derivatives -----------------------------------------------------------------------------------------


@torch._dynamo.assume_constant_result  # type: ignore[no-untyped-call, untyped-decorator]
def _levels() -> int:
    """How many transforms of `torch.func` are at work; Dynamo guards on them."""
    return len(torch._C._functorch.get_interpreter_stack() or ())


def watched(x: Array) -> bool:
    """Whether somebody may ask for derivatives by an array."""
    if x.requires_grad:
        return True
    if torch.compiler.is_compiling():
        return _levels() > 0
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def _applied(of: tuple[type[Function], type[Function]], x: Array, *options: Any) -> Any:
    """TorchDynamo takes no function with a forward derivative, but inside of transforms."""
    both, reverse = of
    chosen = reverse if x.requires_grad and torch.compiler.is_compiling() else both
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


# -- singular values --------------------------------------------------------------------------------------------------


class _SVD(_Reverse):
    @staticmethod
    def forward(x: Array, close: float, full: bool) -> tuple[Array, Array, Array]:
        u, s, vh = torch.linalg.svd(x, full_matrices=full)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, gu: Any, gs: Any, gvh: Any) -> Any:
        x, *factors = ctx.saved_tensors
        close, full = ctx.options
        if gu is None and gs is None and gvh is None:
            return None, None, None
        again = torch.is_grad_enabled()
        return spectral.svd_pulled(MATHS, x, factors, (gu, gs, gvh), close, again, full), None, None  # type: ignore[arg-type]


class _PushedSVD(_SVD):
    @staticmethod
    def jvp(ctx: Any, tangent: Array, *_: Any) -> Any:
        with _pushing():
            x, *factors = _saved(ctx)
            close, full = ctx.options
            return spectral.svd_pushed(MATHS, x, factors, tangent, close, full)  # type: ignore[arg-type]


def svd(x: Array, close: float, full_matrices: bool = False) -> SVDResult:
    """The singular value decomposition; singular values count as equal that are relatively so close."""
    if not watched(x):
        return SVDResult(*torch.linalg.svd(x, full_matrices=full_matrices))
    return SVDResult(*_applied((_PushedSVD, _SVD), x, close, full_matrices))


def _close(x: Array) -> float:
    return nearly(torch.finfo(x.dtype).eps)


def _svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    return svd(x, _close(x), full_matrices) if watched(x) else SVDResult(*torch.linalg.svd(x, full_matrices))


class _Values(_Reverse):
    """Singular values alone, whose derivative at 0 is 0."""

    @staticmethod
    def forward(x: Array, close: float) -> Any:
        return torch.linalg.svdvals(x)

    @staticmethod
    def backward(ctx: Any, gs: Any) -> Any:
        if gs is None:
            return None, None
        x, _ = ctx.saved_tensors
        (close,) = ctx.options
        return spectral.svdvals_pulled(MATHS, svd(x, close), gs, close), None


class _PushedValues(_Values):
    @staticmethod
    def jvp(ctx: Any, tangent: Array, *_: Any) -> Any:
        with _pushing():
            x, _ = _saved(ctx)
            (close,) = ctx.options
            found = svd(x, close)
            change = spectral.svd_pushed(MATHS, x, found, tangent, close)[1]
            return change * spectral.counted(MATHS, found.S, close)


def _svdvals(x: Array, /) -> Array:
    if not watched(x) or 0 in x.shape:
        return torch.linalg.svdvals(x)
    return _applied((_PushedValues, _Values), x, _close(x))


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
    def forward(x: Array, close: float) -> tuple[Array, Array]:
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


def _eigh(x: Array, /) -> EigResult:
    return EigResult(*(_applied((_PushedEigH, _EigH), x, _close(x)) if watched(x) else torch.linalg.eigh(x)))


def _eigvalsh(x: Array, /) -> Array:
    return _eigh(x).eigenvalues if watched(x) else torch.linalg.eigvalsh(x)


class _Eig(_Reverse):
    @staticmethod
    def forward(x: Array, close: float) -> tuple[Array, Array]:
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
    return EigResult(*(_applied((_PushedEig, _Eig), x, _close(x)) if watched(x) else torch.linalg.eig(x)))


def _eigvals(x: Array, /) -> Array:
    return _eig(x).eigenvalues if watched(x) else torch.linalg.eigvals(x)


LINALG = {
    "svd": _svd, "svdvals": _svdvals, "matrix_norm": _matrix_norm, "eigh": _eigh, "eigvalsh": _eigvalsh,
    "eig": _eig, "eigvals": _eigvals,
}  # fmt: skip
"""Functions of the extension `linalg`, by name."""
