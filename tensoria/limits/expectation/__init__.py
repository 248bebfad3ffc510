"""Expectations of functions of Gaussians, in four tiers: exact, closed form, quadrature, particles."""
