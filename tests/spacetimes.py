"""Metric fields that several tests need, written once for every backend."""

from __future__ import annotations

import tensoria as tn

__all__ = ["PLANE", "SPACE", "SPACETIME", "kerr", "lumpy", "polar", "schwarzschild", "sphere"]

PLANE = tn.Space("S", 2)
SPACE = tn.Space("Q", 3)
SPACETIME = tn.Space("M", 4)
"""None of these has a metric of its own."""


def schwarzschild(x: tn.Tensor, mass: float = 1.0) -> tn.Tensor:
    """A black hole at rest, in coordinates t, r, theta, phi."""
    r, theta = x[..., 1], x[..., 2]
    f = 1 - 2 * mass / r
    g = [[-f, 0, 0, 0], [0, 1 / f, 0, 0], [0, 0, r**2, 0], [0, 0, 0, (r * tn.sin(theta)) ** 2]]
    return tn.from_components(g, "_i _j", i=SPACETIME, j=SPACETIME)


def kerr(x: tn.Tensor, mass: float = 1.0, a: float = 0.5) -> tn.Tensor:
    """A rotating black hole in the coordinates of Boyer and Lindquist."""
    r, theta = x[..., 1], x[..., 2]
    s = tn.sin(theta) ** 2
    sigma, delta = r**2 + a**2 * (1 - s), r**2 - 2 * mass * r + a**2
    drag = 2 * mass * r / sigma
    cross = -a * drag * s
    g = [
        [drag - 1, 0, 0, cross],
        [0, sigma / delta, 0, 0],
        [0, 0, sigma, 0],
        [cross, 0, 0, (r**2 + a**2 + a**2 * drag * s) * s],
    ]
    return tn.from_components(g, "_i _j", i=SPACETIME, j=SPACETIME)


def sphere(x: tn.Tensor, radius: float = 1.0) -> tn.Tensor:
    """A sphere, in coordinates theta, phi."""
    s = tn.sin(x[..., 0]) ** 2
    return tn.from_components([[radius**2, 0], [0, radius**2 * s]], "_i _j", i=PLANE, j=PLANE)


def polar(x: tn.Tensor) -> tn.Tensor:
    """The flat plane in coordinates r, phi."""
    return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_i _j", i=PLANE, j=PLANE)


def lumpy(x: tn.Tensor) -> tn.Tensor:
    """A metric in four dimensions without any symmetry, of Lorentzian signature near the origin."""
    t, u, v, w = (x[..., k] for k in range(4))
    a, b, c = 0.1 * t * u + 0.05 * tn.sin(v), 0.1 * tn.sin(w * t), 0.1 * u * v - 0.03 * w**2
    g = [
        [-1 - 0.2 * u**2 + 0.1 * w, a, b, 0.05 * v * w],
        [a, 1 + 0.1 * tn.exp(t), c, 0.1 * tn.cos(u)],
        [b, c, 1.5 + 0.3 * v * w, a * b],
        [0.05 * v * w, 0.1 * tn.cos(u), a * b, 2 + tn.sin(t) * u],
    ]
    return tn.from_components(g, "_i _j", i=SPACETIME, j=SPACETIME)
