"""The electromagnetic field tensor: invariants, stress-energy, and a boost that leaves the invariants alone.

Signature -+++, Heaviside-Lorentz units with c = 1. F_i0 = E_i and F_ij = eps_ijk B_k, for E = (1, 2, 3) and
B = (4, 5, 6). It prints:

F_ab F^ab  = 2 (B.B - E.E)            126.0
*F_ab F^ab = 4 E.B                    128.0
energy density T^00                   45.5
energy flux T^0i = E x B              [-3.0, 6.0, -3.0]
trace of T                            0.0
T_ab T^ab                             8065.0
T^a_c T^c_b is a multiple of delta    2016.25
after a boost with v = 0.6 along x    F.F = 126.0, *F.F = 128.0
"""

import itertools

import numpy as np

import tensoria as tn

M = tn.Space("M", 4, metric=[-1, 1, 1, 1])
a, b, c = tn.indices("a b c", M)


def field(E, B):
    """The field tensor F_ab of an electric and a magnetic field."""
    F = np.zeros((4, 4))
    F[1:, 0], F[0, 1:] = E, -np.asarray(E)
    for i, j, k in itertools.permutations(range(3)):
        sign = (j - i) * (k - j) * (k - i) / 2  # +1 for even permutations of 0, 1, 2 and -1 for odd ones
        F[1 + i, 1 + j] += sign * B[k]
    return tn.tensor(F, [-a, -b])


def invariants(F):
    """F_ab F^ab and *F_ab F^ab; `F` may be written in any basis."""
    dual = tn.hodge(F, "a b", into="c d").renamed(c="a", d="b")
    return float(F * F.raised()), float(dual * F.raised())


def stress_energy(F):
    """T^a_b = F^ac F_bc - 1/4 delta^a_b F_cd F^cd."""
    delta = tn.tensor(np.eye(4), [a, -b])
    return F.raised()[a, c] * F[-b, -c] - delta * (F * F.raised()) / 4


def boost(velocity):
    """The frame of an observer who moves along x."""
    gamma = 1 / np.sqrt(1 - velocity**2)
    L = np.eye(4)
    L[:2, :2] = [[gamma, gamma * velocity], [gamma * velocity, gamma]]
    return M.basis("boosted", L)


def main():
    """Print the invariants and the stress-energy tensor."""
    F = field((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    square, pseudoscalar = invariants(F)
    T = stress_energy(F)
    upper = T.raised("b")
    print(f"F_ab F^ab  = 2 (B.B - E.E)            {square}")
    print(f"*F_ab F^ab = 4 E.B                    {round(pseudoscalar, 9)}")
    print(f"energy density T^00                   {upper.array[0, 0]}")
    print(f"energy flux T^0i = E x B              {upper.array[0, 1:].tolist()}")
    print(f"trace of T                            {float(T.trace('a', 'b'))}")
    print(f"T_ab T^ab                             {float(T.lowered('a') * upper)}")
    twice = (T @ T).array
    assert np.allclose(twice, twice[0, 0] * np.eye(4))
    print(f"T^a_c T^c_b is a multiple of delta    {twice[0, 0]}")
    square, pseudoscalar = invariants(F.to_basis(boost(0.6)))
    print(f"after a boost with v = 0.6 along x    F.F = {round(square, 9)}, *F.F = {round(pseudoscalar, 9)}")


if __name__ == "__main__":
    main()
