"""SciPy's functions called with tensors: tensors of the same backend come back, with the numbers of NumPy's arrays.

SciPy reads `SCIPY_ARRAY_API` once, when it is imported; `conftest.py` sets it. What SciPy itself does not do for a
namespace that it does not know is in `REFUSED`, which `docs/consumers.md` tells.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

import scipy.cluster.hierarchy
import scipy.constants
import scipy.differentiate
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.spatial.transform
import scipy.special
import scipy.stats
from scipy import cluster, differentiate, integrate, interpolate, ndimage, signal, special, stats
from scipy.optimize import elementwise
from scipy.spatial.transform import RigidTransform, Rotation

import tensoria as tn

Call = Callable[..., Any]
CALLS: dict[str, tuple[Call, tuple[Any, ...]]] = {}
"""What is called by a name (its first argument is the namespace), and the arrays that it is called with."""

random = np.random.default_rng(0)
X, Y = random.normal(size=(20, 3)), random.normal(size=(20, 3)) + 0.5
A, B, C = X[:, 0].copy(), Y[:, 0].copy(), X[:, 1].copy()
POSITIVE, UNIT = np.abs(X) + 0.1, random.uniform(0.05, 0.95, (20, 3))
COUNTS = np.array([12.0, 15.0, 9.0, 14.0])
SIGNAL = np.sin(np.linspace(0, 20, 64)) + 0.1 * random.normal(size=64)
IMAGE = random.normal(size=(8, 7))
QUATERNIONS = random.normal(size=(5, 4))
VECTORS = random.normal(size=(5, 3))
SQUARE = random.normal(size=(4, 4))


def call(chapter: str, functions: str, *arrays: Any, **options: Any) -> None:
    """Functions of a chapter that are called with the same arguments."""
    for name in functions.split():
        function = getattr(getattr(scipy, chapter), name)
        CALLS[f"{chapter}.{name}"] = lambda xp, *given, f=function: f(*given, **options), arrays


def also(name: str, function: Call, *arrays: Any) -> None:
    """A call that has to be written out; the namespace is its first argument."""
    CALLS[name] = function, arrays


# -- statistics -------------------------------------------------------------------------------------------------------

call("stats", "zscore gzscore gmean hmean skew kurtosis describe tmean tvar tstd tsem tmin tmax moment sem gstd "
     "median_abs_deviation variation kstat kstatvar skewtest kurtosistest normaltest iqr differential_entropy "
     "mode lmoment rankdata", POSITIVE)  # fmt: skip
call("stats", "jarque_bera", A)
call("stats", "zmap ttest_ind ttest_rel ks_2samp mannwhitneyu f_oneway kruskal alexandergovern bartlett levene "
     "fligner mood ansari wilcoxon brunnermunzel cramervonmises_2samp epps_singleton_2samp pearsonr chatterjeexi "
     "friedmanchisquare spearmanrho linregress spearmanr", A, B)  # fmt: skip
CALLS["stats.friedmanchisquare"] = lambda xp, *x: stats.friedmanchisquare(*x), (A, B, C)
CALLS["stats.pearsonr axis"] = lambda xp, x, y: stats.pearsonr(x, y, axis=0), (X, Y)
CALLS["stats.ttest_ind axis"] = lambda xp, x, y: stats.ttest_ind(x, y, axis=0, equal_var=False), (X, Y)
CALLS["stats.ttest_ind omit"] = lambda xp, x, y: stats.ttest_ind(x, y, axis=0, nan_policy="omit"), (X, Y)
call("stats", "circmean circvar circstd", UNIT)
call("stats", "directional_stats", VECTORS)
call("stats", "entropy", UNIT)
call("stats", "chisquare", COUNTS)
call("stats", "power_divergence", COUNTS, lambda_="log-likelihood")
call("stats", "combine_pvalues false_discovery_control", UNIT[:, 0])
also("stats.ttest_1samp", lambda xp, x: stats.ttest_1samp(x, 0.1), X)
also("stats.ttest_1samp interval", lambda xp, x: [*stats.ttest_1samp(x, 0.1).confidence_interval()], X)
also("stats.ttest_ind_from_stats", lambda xp, m, s: stats.ttest_ind_from_stats(m, s, 9, m + 1, s, 8), COUNTS, COUNTS)
also("stats.pmean", lambda xp, x: stats.pmean(x, 2), POSITIVE)
also("stats.trim_mean", lambda xp, x: stats.trim_mean(x, 0.1), X)
also("stats.sigmaclip", lambda xp, x: stats.sigmaclip(x, 1.5, 1.5)[0], A)
also("stats.boxcox_llf", lambda xp, x: stats.boxcox_llf(0.5, x), POSITIVE)
also("stats.yeojohnson_llf", lambda xp, x: stats.yeojohnson_llf(0.5, x), X)
also("stats.quantile", lambda xp, x: stats.quantile(x, xp.asarray([[0.25], [0.5]]), axis=0), X)
also("stats.ks_1samp", lambda xp, x: stats.ks_1samp(x, lambda z: special.ndtr(z)), A)
also("stats.cramervonmises", lambda xp, x: stats.cramervonmises(x, lambda z: special.ndtr(z)), A)
also(
    "stats.bootstrap",
    lambda xp, x: (
        stats.bootstrap(
            (x,), lambda x, axis: xp.mean(x, axis=axis), n_resamples=50, method="percentile", rng=0
        ).confidence_interval.low
    ),
    A,
)
also(
    "stats.permutation_test",
    lambda xp, x, y: (
        stats.permutation_test(
            (x, y),
            lambda x, y, axis: xp.mean(x, axis=axis) - xp.mean(y, axis=axis),
            n_resamples=50,
            vectorized=True,
            rng=0,
        ).pvalue
    ),
    A,
    B,
)
also(
    "stats.monte_carlo_test",
    lambda xp, x: (
        stats.monte_carlo_test(
            x,
            lambda size: xp.asarray(np.random.default_rng(0).normal(size=size)),
            lambda x, axis: xp.mean(x, axis=axis),
            n_resamples=50,
            vectorized=True,
        ).pvalue
    ),
    A,
)

# -- special functions ------------------------------------------------------------------------------------------------

call("special", "cbrt cosm1 entr erf erfc erfcx erfinv exp1 exp10 exp2 exprel expi expit gamma gammaln gammasgn i0 "
     "i0e i1 i1e j0 j1 k0 k0e k1 k1e log_ndtr loggamma logit ndtr ndtri psi rgamma sinc spence y0 y1 zetac ellipk "
     "ellipkm1 cosdg sindg tandg cotdg", UNIT)  # fmt: skip
call("special", "betaln binom boxcox boxcox1p chdtr chdtrc expn gammainc gammaincc gammainccinv gammaincinv huber "
     "inv_boxcox kl_div rel_entr poch pseudo_huber xlog1py xlogy zeta stdtr stdtrit pdtr "
     "pdtrc", UNIT + 1, UNIT)  # fmt: skip
call("special", "betainc betaincc betaincinv hyp1f1 fdtr fdtrc gdtr gdtrc bdtr", UNIT + 1, UNIT + 2, UNIT)
call("special", "logsumexp", X, axis=1)
call("special", "softmax log_softmax", X, axis=1)
also("special.logsumexp weighted", lambda xp, x, b: special.logsumexp(x, b=b, return_sign=True), X, Y)
also("special.polygamma", lambda xp, x: special.polygamma(xp.asarray(1.0), x), UNIT)
also("special.multigammaln", lambda xp, x: special.multigammaln(x + 3, 2), UNIT)

# -- Fourier and other transforms -------------------------------------------------------------------------------------

call("fft", "fft ifft rfft hfft fft2 ifft2 rfft2 fftn ifftn rfftn dct idct dst idst dctn dstn fftshift ifftshift", X)
call("fft", "irfft irfftn ihfft", X)
also("fft.fftfreq", lambda xp: scipy.fft.fftfreq(8, xp=xp))
also("fft.fht", lambda xp, x: scipy.fft.fht(x, 0.1, 0.5), SIGNAL)

# -- signals ----------------------------------------------------------------------------------------------------------

TAPS = np.array([0.25, 0.5, 0.25])
call("signal", "convolve fftconvolve oaconvolve correlate lfilter", SIGNAL, TAPS)
CALLS["signal.lfilter"] = lambda xp, b, x: signal.lfilter(b, xp.asarray([1.0]), x), (TAPS, SIGNAL)
CALLS["signal.filtfilt"] = lambda xp, b, x: signal.filtfilt(b, xp.asarray([1.0]), x), (TAPS, SIGNAL)
call("signal", "detrend hilbert envelope wiener cspline1d", SIGNAL)
call("signal", "hilbert2", IMAGE)
also("signal.medfilt", lambda xp, x: signal.medfilt(x, 3), SIGNAL)
also("signal.savgol_filter", lambda xp, x: signal.savgol_filter(x, 7, 2), SIGNAL)
also("signal.resample", lambda xp, x: signal.resample(x, 32), SIGNAL)
also("signal.resample_poly", lambda xp, x: signal.resample_poly(x, 2, 3), SIGNAL)
also("signal.upfirdn", lambda xp, x: signal.upfirdn(xp.asarray(TAPS), x, 2), SIGNAL)
also("signal.sosfilt", lambda xp, x: signal.sosfilt(xp.asarray(signal.butter(4, 0.3, output="sos")), x), SIGNAL)
also("signal.sosfiltfilt", lambda xp, x: signal.sosfiltfilt(xp.asarray(signal.butter(4, 0.3, output="sos")), x), SIGNAL)
also("signal.freqz", lambda xp, b: signal.freqz(b, worN=16), TAPS)
also("signal.firwin", lambda xp, x: signal.firwin(9, x), np.asarray(0.3))
also("signal.vectorstrength", lambda xp, x: signal.vectorstrength(x, xp.asarray(1.5)), SIGNAL)
also("signal.windows", lambda xp: signal.get_window("hann", 16, xp=xp))
also("signal.gauss_spline", lambda xp, x: signal.gauss_spline(x, 3), SIGNAL)
also("signal.convolve2d", lambda xp, x, y: signal.convolve2d(x, y), IMAGE, SQUARE)
also("signal.sos2zpk", lambda xp, s: signal.sos2tf(s), signal.butter(2, 0.3, output="sos"))

# -- images -----------------------------------------------------------------------------------------------------------

call("ndimage", "gaussian_gradient_magnitude gaussian_laplace gaussian_filter", IMAGE, 1.0)
call("ndimage", "laplace prewitt sobel uniform_filter distance_transform_edt center_of_mass extrema sum mean "
     "standard_deviation", IMAGE)  # fmt: skip
call("ndimage", "median_filter maximum_filter", IMAGE, size=3)
call("ndimage", "convolve correlate", IMAGE, SQUARE[:3, :3])
call("ndimage", "rotate zoom shift", IMAGE, 1.5)
also("ndimage.label", lambda xp, x: ndimage.label(x > 0)[0], IMAGE)
also("ndimage.binary_dilation", lambda xp, x: ndimage.binary_dilation(x > 0), IMAGE)
also("ndimage.vectorized_filter", lambda xp, x: ndimage.vectorized_filter(x, xp.mean, size=3), IMAGE)

# -- linear algebra, geometry, clusters -------------------------------------------------------------------------------

call("linalg", "orthogonal_procrustes block_diag", SQUARE, SQUARE.T)
call("linalg", "fiedler", COUNTS)
call("constants", "lambda2nu nu2lambda", POSITIVE)
also("constants.convert_temperature", lambda xp, x: scipy.constants.convert_temperature(x, "C", "K"), POSITIVE)
also("cluster.vq.whiten", lambda xp, x: cluster.vq.whiten(x), X)
also("cluster.vq.vq", lambda xp, x: cluster.vq.vq(x, x[:3, ...]), X)
also("cluster.vq.kmeans", lambda xp, x: cluster.vq.kmeans(x, x[:3, ...]), X)
also("cluster.hierarchy.linkage", lambda xp, x: cluster.hierarchy.linkage(x, "ward"), X)
also(
    "cluster.hierarchy.fcluster",
    lambda xp, x: cluster.hierarchy.fcluster(cluster.hierarchy.linkage(x), 3, "maxclust"),
    X,
)
also("Rotation.as_matrix", lambda xp, q: Rotation.from_quat(q).as_matrix(), QUATERNIONS)
also("Rotation.as_rotvec", lambda xp, q: Rotation.from_quat(q).as_rotvec(), QUATERNIONS)
also("Rotation.as_euler", lambda xp, q: Rotation.from_quat(q).as_euler("xyz"), QUATERNIONS)
also("Rotation.as_mrp", lambda xp, q: Rotation.from_quat(q).as_mrp(), QUATERNIONS)
also(
    "Rotation.from_matrix", lambda xp, q: Rotation.from_matrix(Rotation.from_quat(q).as_matrix()).as_quat(), QUATERNIONS
)
also("Rotation.from_rotvec", lambda xp, v: Rotation.from_rotvec(v).as_quat(), VECTORS)
also("Rotation.from_euler", lambda xp, v: Rotation.from_euler("xyz", v).as_quat(), VECTORS)
also("Rotation.apply", lambda xp, q, v: Rotation.from_quat(q).apply(v), QUATERNIONS, VECTORS)
also("Rotation product", lambda xp, q: (Rotation.from_quat(q) * Rotation.from_quat(q).inv()[0]).as_quat(), QUATERNIONS)
also("Rotation power", lambda xp, q: (Rotation.from_quat(q) ** 0.5).magnitude(), QUATERNIONS)
also("Rotation.mean", lambda xp, q: Rotation.from_quat(q).mean().as_matrix(), QUATERNIONS)
also("Rotation.align_vectors", lambda xp, v: Rotation.align_vectors(v, v * 2)[0].as_matrix(), VECTORS)
also(
    "RigidTransform.apply",
    lambda xp, q, v: RigidTransform.from_components(v, Rotation.from_quat(q)).apply(v),
    QUATERNIONS,
    VECTORS,
)
also(
    "RigidTransform.inv",
    lambda xp, q, v: RigidTransform.from_components(v, Rotation.from_quat(q)).inv().as_matrix(),
    QUATERNIONS,
    VECTORS,
)

# -- calculus ---------------------------------------------------------------------------------------------------------

also("integrate.trapezoid", lambda xp, y: integrate.trapezoid(y, dx=0.5, axis=0), X)
also("integrate.cumulative_trapezoid", lambda xp, y: integrate.cumulative_trapezoid(y, dx=0.5, axis=0), X)
also("integrate.cumulative_simpson", lambda xp, y: integrate.cumulative_simpson(y, dx=0.5, axis=0), X)
also("integrate.romb", lambda xp, y: integrate.romb(y), SIGNAL[:33])
also(
    "integrate.cubature",
    lambda xp, a, b: integrate.cubature(lambda x: xp.exp(-xp.sum(x**2, axis=-1)), a, b).estimate,
    np.zeros(2),
    np.ones(2),
)
also("integrate.tanhsinh", lambda xp, a: integrate.tanhsinh(lambda x: xp.exp(-(x**2)), a, a + 1).integral, COUNTS / 10)
also("integrate.nsum", lambda xp, a: integrate.nsum(lambda k: 1 / k**2, a, xp.asarray(xp.inf)).sum, np.asarray(1.0))
also(
    "optimize.elementwise.find_root",
    lambda xp, c: elementwise.find_root(lambda x, c: x**3 - c, (xp.zeros_like(c), c), args=(c,)).x,
    COUNTS,
)
also(
    "optimize.elementwise.find_minimum",
    lambda xp, c: elementwise.find_minimum(lambda x, c: (x - c) ** 2, (c - 3, c - 1, c + 2), args=(c,)).x,
    COUNTS,
)
also(
    "optimize.elementwise.bracket_root",
    lambda xp, c: elementwise.bracket_root(lambda x, c: x**3 - c, xp.zeros_like(c), args=(c,)).bracket,
    COUNTS,
)
also(
    "optimize.elementwise.bracket_minimum",
    lambda xp, c: elementwise.bracket_minimum(lambda x, c: (x - c) ** 2, xp.zeros_like(c), args=(c,)).bracket,
    COUNTS,
)
call("optimize", "rosen rosen_der rosen_hess", COUNTS / 10)
also("differentiate.derivative", lambda xp, x: differentiate.derivative(xp.sin, x).df, POSITIVE)
also(
    "differentiate.jacobian",
    lambda xp, x: differentiate.jacobian(lambda x: xp.stack([x[0] * x[1], x[0] ** 2]), x).df,
    COUNTS[:2] / 10,
)
also("differentiate.hessian", lambda xp, x: differentiate.hessian(lambda x: x[0] * x[1] ** 2, x).ddf, COUNTS[:2] / 10)
GRID = np.linspace(0, 1, 12)
also("interpolate.CubicSpline", lambda xp, x, y: interpolate.CubicSpline(x, y)(x * 0.9), GRID, A[:12])
also("interpolate.PchipInterpolator", lambda xp, x, y: interpolate.PchipInterpolator(x, y)(x * 0.9), GRID, A[:12])
also("interpolate.Akima1DInterpolator", lambda xp, x, y: interpolate.Akima1DInterpolator(x, y)(x * 0.9), GRID, A[:12])
also("interpolate.make_interp_spline", lambda xp, x, y: interpolate.make_interp_spline(x, y)(x * 0.9), GRID, A[:12])
also(
    "interpolate.RBFInterpolator",
    lambda xp, x, y: interpolate.RBFInterpolator(x[:, None], y)(x[:, None] * 0.9),
    GRID,
    A[:12],
)
also(
    "interpolate.RegularGridInterpolator",
    lambda xp, x, y: interpolate.RegularGridInterpolator((x,), y)(x[:, None] * 0.9),
    GRID,
    A[:12],
)


# -- what comes back --------------------------------------------------------------------------------------------------

NUMBERS = frozenset(("stats.ks_2samp", "stats.linregress", "stats.spearmanr"))
"""Functions that SciPy has for NumPy only; it converts, and returns numbers."""
REFUSED: dict[str, dict[str, type[Exception]]] = {
    # It adds an integer to a floating-point array, which the standard leaves open.
    "integrate.tanhsinh": dict.fromkeys(("numpy", "tensorflow", "torch"), TypeError),
    "integrate.nsum": dict.fromkeys(("numpy", "tensorflow", "torch"), TypeError),
    # It calls methods of NumPy's arrays.
    "differentiate.hessian": dict.fromkeys(("numpy", "tensorflow", "torch"), AttributeError),
    "interpolate.RBFInterpolator": dict.fromkeys(("numpy", "tensorflow", "torch"), AttributeError),
    # It makes an array with `np.zeros_like` on the way.
    "interpolate.PchipInterpolator": dict.fromkeys(("tensorflow", "torch"), TypeError),
    # It writes into the memory of its arguments' NumPy arrays, and TensorFlow's memory is read-only.
    "signal.sosfilt": {"tensorflow": ValueError},
    "signal.sosfiltfilt": {"tensorflow": ValueError},
}
"""What SciPy does not do for a namespace that it does not know, by function and backend."""


def leaves(x: Any) -> Iterator[Any]:
    """The arrays and numbers of a result that may be a tuple, a named tuple or a result object."""
    if isinstance(x, (tuple, list)):
        for item in x:
            yield from leaves(item)
    elif hasattr(x, "__dict__") and not hasattr(x, "shape"):
        yield from leaves([*vars(x).values()])
    elif x is not None and not isinstance(x, str):
        yield x


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """SciPy warns about small samples and slow precision, which is its business."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@cache
def wanted(name: str) -> list[Any]:
    """What SciPy finds with NumPy's arrays."""
    function, arrays = CALLS[name]
    return list(leaves(function(np, *arrays)))


@pytest.mark.parametrize("name", CALLS)
def test_what_goes_in_comes_out_with_the_same_numbers(backend: str, name: str) -> None:
    xp = tn.namespace(backend)
    function, arrays = CALLS[name]
    tensors = [xp.asarray(x) if isinstance(x, np.ndarray) else x for x in arrays]
    if (error := REFUSED.get(name, {}).get(backend)) is not None:
        with pytest.raises(error):
            function(xp, *tensors)
        return
    found = list(leaves(function(xp, *tensors)))
    assert len(found) == len(wanted(name))
    if name not in NUMBERS:
        assert any(isinstance(x, tn.Tensor) for x in found)
    for ours, theirs in zip(found, wanted(name), strict=True):
        if isinstance(ours, tn.Tensor):
            assert ours.backend == backend
        else:
            assert not np.shape(ours), f"{type(ours).__name__}, not a tensor"
        x, y = np.asarray(ours), np.asarray(theirs)
        assert x.shape == y.shape
        # Some of SciPy's constants are of the namespace's default data type, which is float32 on two backends.
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-8)
