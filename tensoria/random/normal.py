"""Normal numbers: the inverse of the normal distribution function at uniform numbers.

Wichura, "Algorithm AS 241: the percentage points of the normal distribution" (Applied Statistics 37, 1988): for
q = p - 1/2 in the centre (85% of all draws) q times a rational function of q squared; in the tails one of
sqrt(-log(p)). Its PPND16 has an accuracy of 1e-16, PPND7 of 1e-7.

Arithmetic of frameworks is the same but for the logarithm's last bits, and but for compilers that fuse multiplications
and additions. So float32 and smaller types are computed in float64 and rounded: a difference there survives the
rounding about once in 10**8 draws, and is 1 ulp then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, bfloat16, complex64, complex128, float16, float32, float64, int32
from tensoria.errors import DomainError
from tensoria.indices import PLAIN
from tensoria.random.arguments import data_type, real, sizes
from tensoria.random.bits import words
from tensoria.random.keys import opened
from tensoria.random.words import cast, top
from tensoria.tensor import Tensor

__all__ = ["normal", "percentile", "standard"]

Coefficients = tuple[float, ...]
CENTRE, SHIFT = 0.425, 0.180625
MIDDLE, NEAR, FAR = 1.6, 5.0, 5.0


class Percentiles(NamedTuple):
    """Numerators and denominators, ascending powers."""

    centre: tuple[Coefficients, Coefficients]
    tail: tuple[Coefficients, Coefficients]
    far: tuple[Coefficients, Coefficients] | None


PPND7 = Percentiles(
    ((3.3871327179, 50.434271938, 159.29113202, 59.109374720), (1.0, 17.895169469, 78.757757664, 67.187563600)),
    ((1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103), (1.0, 0.73700164250, 0.12021132975)),
    None,  # words of 32 bits do not lead there
)
PPND16 = Percentiles(
    (
        (
            3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
            4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
        ),
        (
            1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
            2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
        ),
    ),
    (
        (
            1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
            1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
        ),
        (
            1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
            1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
        ),
    ),
    (
        (
            6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
            2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
        ),
        (
            1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
            7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
        ),
    ),
)  # fmt: skip


def _polynomial(backend: Backend, coefficients: Coefficients, x: Array) -> Array:
    """Horner's scheme; coefficients of ascending powers."""
    updating = {**backend.operators, **backend.updating}
    add_to, multiply_by = updating["add"], updating["multiply"]
    first, second, *rest = reversed(coefficients)
    total = add_to(backend.operators["multiply"](x, first), second)
    for coefficient in rest:
        total = add_to(multiply_by(total, x), coefficient)
    return total


def _ratio(backend: Backend, of: tuple[Coefficients, Coefficients], x: Array) -> Array:
    return backend.operators["divide"](_polynomial(backend, of[0], x), _polynomial(backend, of[1], x))


def standard(backend: Backend, drawn: Sequence[Array], precise: bool) -> tuple[Array]:
    """Standard normal float64 for random words: one each, or two."""
    add, subtract, multiply = (backend.operators[name] for name in ("add", "subtract", "multiply"))
    # q is an odd multiple of 2**-33 (2**-54) between -1/2 and 1/2, exactly.
    if precise:
        upper = multiply(cast(backend, top(backend, drawn[0], 26), float64), 2.0**27)
        q = subtract(add(upper, cast(backend, top(backend, drawn[1], 27), float64)), 2.0**52)
        q = multiply(add(q, 0.5), 2.0**-53)
    else:
        q = _centred(backend, drawn[0])
        q = multiply(add(q, 0.5), 2.0**-32)
    return (percentile(backend, q, precise),)


def percentile(backend: Backend, q: Array, precise: bool) -> Array:
    """Where the normal distribution function is 1/2 + q."""
    subtract, multiply, xp = backend.operators["subtract"], backend.operators["multiply"], backend.xp
    size = xp.abs(q)
    percentiles = PPND16 if precise else PPND7
    z = multiply(q, _ratio(backend, percentiles.centre, subtract(SHIFT, multiply(q, q))))
    r = xp.sqrt(xp.negative(xp.log(subtract(0.5, size))))
    tail = _ratio(backend, percentiles.tail, subtract(r, MIDDLE))
    if percentiles.far is not None:
        tail = xp.where(r > NEAR, _ratio(backend, percentiles.far, subtract(r, FAR)), tail)
    return xp.where(size > CENTRE, xp.copysign(tail, q), z)


def _centred(backend: Backend, word: Array) -> Array:
    """Words less 2**31, in float64."""
    if backend.word is int32:
        return cast(backend, backend.operators["bitwise_xor"](word, -(2**31)), float64)
    return backend.operators["subtract"](cast(backend, word, float64), 2.0**31)


def normal(
    key: Any, shape: Any = (), *, dtype: DType | str = "float32", mean: complex = 0.0, std: float = 1.0
) -> Tensor:
    """Normal numbers.

    Complex ones are circularly symmetric: real and imaginary parts are independent, and E|z - mean|**2 = std**2.

    Between any two backends, devices and compilers standard normal float32 differ by 1 ulp at most (about one number
    in 10**8 does; float16 and bfloat16 alike), and float64 by 16 ulp at most (those in the tails do). Numbers from
    32 random bits, for all types but float64 and complex128, reach 6.3 standard deviations; from 53 bits, 8.3.
    All are computed in float64.

    Args:
        key: a key.
        shape: an integer or a sequence of them.
        dtype: float16, bfloat16, float32, float64, complex64 or complex128.
        mean: a finite Python number.
        std: the standard deviation, a finite Python number, not negative.

    Raises:
        DTypeError: another data type, or one that the backend lacks.
        ConversionError, DomainError: mean and standard deviation are no such numbers.
        ShapeError: a negative size.

    >>> import tensoria as tn
    >>> tn.random.normal(tn.random.key(0), 2).array.round(4).tolist()
    [-0.20579999685287476, 0.25459998846054077]
    """
    of = data_type(dtype, "normal", (float16, bfloat16, float32, float64, complex64, complex128))
    backend, opened_key = opened(key)
    native = backend.native_dtype(of)
    found = sizes(shape)
    deviation = real(std, "std")
    if deviation < 0:
        raise DomainError(f"a standard deviation is not negative, and {deviation!r} is.")
    planes = of.kind == "complex"
    if planes and isinstance(mean, complex):
        centres = [real(mean.real, "mean"), real(mean.imag, "mean")]
    else:
        centres = [real(mean, "mean"), 0.0]
    precise = of in (float64, complex128)
    count = math.prod(found) * (2 if planes else 1)
    (z,) = backend.staged(standard, words(backend, opened_key, count, 2 if precise else 1), precise)
    if not planes:
        x = _cast(backend, _moved(backend, z, centres[0], deviation), of, native)
        return Tensor.from_parts(backend.reshape(x, found), PLAIN, backend)
    pairs = backend.reshape(z, (-1, 2))
    parts = [_moved(backend, pairs[:, n], centres[n], deviation / math.sqrt(2)) for n in (0, 1)]
    component = float64 if precise else float32
    first, second = (backend.kernels.cast(cast(backend, part, component), native) for part in parts)
    whole = backend.operators["add"](first, backend.operators["multiply"](second, 1j))
    return Tensor.from_parts(backend.reshape(whole, found), PLAIN, backend)


def _moved(backend: Backend, z: Array, mean: float, std: float) -> Array:
    scaled = z if std == 1 else backend.operators["multiply"](z, std)
    return backend.operators["add"](scaled, mean) if mean else scaled


def _cast(backend: Backend, x: Array, of: DType, native: Any) -> Array:
    if of is float64:
        return x
    # By float32 everywhere: some frameworks go to the half types that way, others in one step.
    single = cast(backend, x, float32)
    return single if of is float32 else backend.kernels.cast(single, native)
