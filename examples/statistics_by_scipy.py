"""A clinical trial in SciPy's statistics, computed by every backend.

Blood pressure (in mmHg) before and after four weeks, of a group that got the drug and one that got a placebo, twenty
patients in each, at ten centres; made-up numbers from a seeded generator. The question is asked for all centres at
once, one a row, and every number below is a tensor's, on a GPU if the backend has one: SciPy takes the functions from
the tensor's namespace. It prints:

numpy on ...: drug -13.1 mmHg, placebo -1.4 mmHg
  Welch's t-test: significant in 9 of 10 centres after Benjamini and Hochberg
  effect 95 % interval of all centres: -13.4 to -9.9 mmHg
  correlation of change with the pressure before: -0.30
tensorflow on ...: the same numbers
torch on ...: the same numbers
"""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # SciPy reads it when it is imported

import numpy as np
from scipy import stats

import tensoria as tn
from tensoria.errors import BackendNotFoundError


def trial():
    """Pressures before and after, with the drug and with the placebo: four arrays, centres by patients."""
    random = np.random.default_rng(0)
    usual = random.normal(150, 8, size=(2, 10, 20))
    before = usual + random.normal(0, 5, size=usual.shape)
    after = usual + random.normal(0, 8, size=usual.shape) - np.array([12.0, 2.0])[:, None, None]
    return before[0], after[0], before[1], after[1]


def analysed(xp, before, after, before_placebo, after_placebo):
    """The questions to the trial, answered in the namespace of its tensors."""
    drug, placebo = after - before, after_placebo - before_placebo
    by_centre = stats.ttest_ind(drug, placebo, axis=1, equal_var=False)
    adjusted = stats.false_discovery_control(by_centre.pvalue)
    interval = stats.ttest_ind(xp.reshape(drug, (-1,)), xp.reshape(placebo, (-1,))).confidence_interval()
    regression = stats.pearsonr(xp.reshape(before, (-1,)), xp.reshape(drug, (-1,)))
    assert all(isinstance(x, tn.Tensor) for x in (adjusted, interval.low, interval.high, regression.statistic))
    return {
        "drug": xp.mean(drug),
        "placebo": xp.mean(placebo),
        "significant": xp.count_nonzero(adjusted < 0.05),
        "low": interval.low,
        "high": interval.high,
        "correlation": regression.statistic,
    }


def main():
    """Ask every backend, and print the answers of the first."""
    first = None
    for backend in tn.available():
        try:
            xp = tn.namespace(backend)
        except BackendNotFoundError:
            continue
        devices = xp.__array_namespace_info__().devices()
        device = next((name for name in devices if name != "cpu"), "cpu")
        found = analysed(xp, *(xp.asarray(x, device=device) for x in trial()))
        assert {answer.backend for answer in found.values()} == {backend}
        if first is None:
            first = found
            print(f"{backend} on {device}: drug {found['drug']:.1f} mmHg, placebo {found['placebo']:.1f} mmHg")
            print(
                f"  Welch's t-test: significant in {found['significant']:d} of 10 centres after Benjamini and Hochberg"
            )
            print(f"  effect 95 % interval of all centres: {found['low']:.1f} to {found['high']:.1f} mmHg")
            print(f"  correlation of change with the pressure before: {found['correlation']:.2f}")
        else:
            same = all(abs(float(x) - float(first[name])) < 1e-6 for name, x in found.items())
            print(f"{backend} on {device}: {'the same numbers' if same else 'OTHER NUMBERS'}")


if __name__ == "__main__":
    main()
