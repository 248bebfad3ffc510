"""Programs at finite width: the same on every backend, and nearer to the limit by the square root of the width."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_programs import two_layers

import tensoria as tn
from tensoria.errors import LimitError


def everything() -> tn.limits.TensorProgram:
    p, at = two_layers()
    m = p.moment(lambda a, b: a * b, at["dz"], at["x"], name="m")
    p.nonlin(lambda d, m: tn.tanh(d - m), at["dz"], m, name="u")
    p.outer_nonlin(lambda a, b, c: tn.tanh(a * b) * c, at["x"], at["z"], at["x"], name="o")
    p.lincomb([2, m], [at["x"], at["z"]], name="l")
    return p


def test_a_simulation_is_the_same_on_every_backend(backend: str) -> None:
    p = everything()
    run, other = p.simulate(40, seeds=2, backend=backend, key=7), p.simulate(40, seeds=2, key=7)
    for name in ("h", "dz", "u", "o", "l"):
        assert run.expect(tn.square, p[name]).values == pytest.approx(other.expect(tn.square, p[name]).values, rel=1e-9)
    assert run[p["m"]].values == pytest.approx(other[p["m"]].values, rel=1e-9)


def test_a_simulation_does_what_the_program_says() -> None:
    p = everything()
    run = p.simulate(30, seeds=1)
    x, z, o, l, m = (np.asarray(run.vectors[0][p[n]]) for n in ("x", "z", "o", "l", "x"))
    np.testing.assert_allclose(z, np.tanh(x), rtol=1e-14)
    table = np.tanh(x[:, None, None] * z[None, :, None]) * x[None, None, :]
    np.testing.assert_allclose(o, table.mean(axis=(1, 2)), rtol=1e-12)
    m = float(run.scalars[0][p["m"]])
    np.testing.assert_allclose(l, 2 * x + m * z, rtol=1e-13)


def test_widths_of_a_ratio_are_rounded() -> None:
    p = tn.limits.TensorProgram()
    p.dimension("n", 1)
    p.dimension("m", "1/3")
    y = p.matrix("A", rows="m", columns="n") @ p.vector("x", dimension="n")
    assert p.simulate(100).vectors[0][y].shape == (33,)
    with pytest.raises(LimitError, match="positive width"):
        p.simulate(0)


def test_the_distance_to_the_limit_shrinks_with_the_root_of_the_width() -> None:
    p, _ = two_layers()
    found = p.converge(widths=(64, 128, 256, 512), seeds=24)
    assert set(found.limits) == {"E z^2", "E h^2", "E dh^2", "E dz^2"}
    assert -0.75 < found.slope < -0.3
    assert str(found).splitlines()[0].split() == ["width", "limit", "64", "128", "256", "512", "slope"]
    assert found.limits["E h^2"] == pytest.approx(float(p.limit().covariance(p["h"], p["h"])))


def test_convergence_and_laws_are_plotted() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    p = everything()
    axes = p.converge(widths=(16, 32), seeds=2, quantities={"h": (tn.square, p["h"])}).plot()
    assert [line.get_label() for line in axes.get_lines()] == ["h", "width^(-1/2)"]
    axes = tn.limits.semicircle(8).plot(eigenvalues=[0.0, 1.0])
    assert axes.get_title() == "W + W^T"
