"""scikit-learn with `array_api_dispatch`: estimators and metrics give tensors back, with NumPy's numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn import decomposition as parts
from sklearn import (
    discriminant_analysis,
    kernel_approximation,
    linear_model,
    metrics,
    mixture,
    naive_bayes,
    pipeline,
    preprocessing,
)
from sklearn import model_selection as selection
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import pairwise
from sklearn.utils.extmath import randomized_svd, row_norms, softmax

import tensoria as tn

Call = Callable[..., Any]
CALLS: dict[str, tuple[Call, tuple[Any, ...]]] = {}
"""What is called by a name, and the arrays that it is called with."""

random = np.random.default_rng(0)
IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESSION = load_diabetes(return_X_y=True)


def estimator(name: str, make: Call, use: Call, *data: Any) -> None:
    """An estimator made anew for each call, and what is asked of it."""
    CALLS[name] = (lambda *given: use(make(), *given)), data or (IRIS, SPECIES)


def functions(module: Any, names: str, *data: Any, **options: Any) -> None:
    """Functions of a module that are called with the same arguments."""
    for name in names.split():
        function = getattr(module, name)
        CALLS[name] = (lambda *given, f=function: f(*given, **options)), data


def transformed(e: Any, X: Any, y: Any) -> Any:
    return e.fit(X, y).transform(X)


# -- estimators -------------------------------------------------------------------------------------------------------

for solver in ("full", "covariance_eigh", "randomized", "auto"):
    estimator(
        f"PCA {solver}",
        lambda solver=solver: parts.PCA(2, svd_solver=solver, random_state=0),
        lambda e, X, y: (e.fit_transform(X), e.explained_variance_, e.components_, e.inverse_transform(X[:, :2])),
    )
estimator("PCA whiten", lambda: parts.PCA(2, svd_solver="full", whiten=True), transformed)
estimator("PCA mle", lambda: parts.PCA("mle", svd_solver="full"), transformed)
estimator(
    "PCA of a share",
    lambda: parts.PCA(0.9, svd_solver="full"),
    lambda e, X, y: (e.fit(X).score_samples(X), e.get_precision()),
)
estimator(
    "Ridge",
    lambda: linear_model.Ridge(solver="svd"),
    lambda e, X, y: (e.fit(X, y).predict(X), e.coef_, e.intercept_, e.score(X, y)),
    DIABETES,
    PROGRESSION,
)
estimator("RidgeCV", linear_model.RidgeCV, lambda e, X, y: e.fit(X, y).predict(X), DIABETES, PROGRESSION)
estimator("RidgeClassifier", lambda: linear_model.RidgeClassifier(solver="svd"), lambda e, X, y: e.fit(X, y).predict(X))
estimator(
    "LinearDiscriminantAnalysis",
    discriminant_analysis.LinearDiscriminantAnalysis,
    lambda e, X, y: (abs(e.fit(X, y).transform(X)), e.predict(X), e.predict_proba(X)),
)
estimator("GaussianNB", naive_bayes.GaussianNB, lambda e, X, y: (e.fit(X, y).predict_proba(X), e.predict(X)))
estimator(
    "GaussianMixture",
    lambda: mixture.GaussianMixture(2, random_state=0, init_params="random_from_data"),
    lambda e, X, y: (e.fit(X).predict_proba(X), e.means_, e.covariances_),
)
estimator("Nystroem", lambda: kernel_approximation.Nystroem(random_state=0, n_components=20), transformed)
for scaler in (
    preprocessing.StandardScaler,
    preprocessing.MinMaxScaler,
    preprocessing.MaxAbsScaler,
    preprocessing.Normalizer,
    preprocessing.Binarizer,
    preprocessing.PolynomialFeatures,
):
    estimator(scaler.__name__, scaler, transformed)
estimator("StandardScaler back", preprocessing.StandardScaler, lambda e, X, y: e.inverse_transform(e.fit_transform(X)))
estimator("KernelCenterer", preprocessing.KernelCenterer, lambda e, X, y: e.fit_transform(X @ X.T))
estimator("LabelEncoder", preprocessing.LabelEncoder, lambda e, X, y: e.fit_transform(y))
estimator("LabelBinarizer", preprocessing.LabelBinarizer, lambda e, X, y: e.fit_transform(y))
estimator(
    "Pipeline",
    lambda: pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        parts.PCA(2, svd_solver="full"),
        discriminant_analysis.LinearDiscriminantAnalysis(),
    ),
    lambda e, X, y: (e.fit(X, y).predict(X), e.score(X, y)),
)
estimator(
    "GridSearchCV",
    lambda: selection.GridSearchCV(linear_model.Ridge(solver="svd"), {"alpha": [0.1, 1.0]}),
    lambda e, X, y: (e.fit(X, y).predict(X), e.best_score_),
    DIABETES,
    PROGRESSION,
)
estimator(
    "cross_val_predict",
    discriminant_analysis.LinearDiscriminantAnalysis,
    lambda e, X, y: selection.cross_val_predict(e, X, y),
)
estimator(
    "train_test_split", lambda: None, lambda e, X, y: selection.train_test_split(X, y, random_state=0, stratify=y)
)

# -- metrics ----------------------------------------------------------------------------------------------------------

CLASSES, GUESSES = random.integers(0, 3, 50), random.integers(0, 3, 50)
BINARY, SCORES = random.integers(0, 2, 50), random.random(50)
TRUE, PREDICTED = random.random(50) + 1, random.random(50) + 1
ROWS, OTHERS, SHARES = random.random((6, 4)), random.random((5, 4)), random.dirichlet([1, 1, 1], 50)

functions(
    metrics,
    "accuracy_score zero_one_loss confusion_matrix balanced_accuracy_score cohen_kappa_score hamming_loss "
    "multilabel_confusion_matrix precision_recall_fscore_support",
    CLASSES,
    GUESSES,
)
functions(metrics, "f1_score precision_score recall_score jaccard_score", CLASSES, GUESSES, average="macro")
functions(metrics, "fbeta_score", CLASSES, GUESSES, beta=0.5, average=None)
functions(metrics, "log_loss d2_log_loss_score", CLASSES, SHARES)
functions(metrics, "brier_score_loss precision_recall_curve average_precision_score det_curve", BINARY, SCORES)
functions(
    metrics,
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error mean_squared_log_error "
    "root_mean_squared_error root_mean_squared_log_error r2_score explained_variance_score max_error "
    "median_absolute_error mean_tweedie_deviance mean_poisson_deviance mean_gamma_deviance mean_pinball_loss "
    "d2_tweedie_score d2_absolute_error_score d2_pinball_score",
    TRUE,
    PREDICTED,
)
functions(
    pairwise,
    "euclidean_distances cosine_similarity cosine_distances linear_kernel polynomial_kernel rbf_kernel sigmoid_kernel "
    "laplacian_kernel additive_chi2_kernel chi2_kernel manhattan_distances pairwise_distances",
    ROWS,
    OTHERS,
)
functions(pairwise, "paired_cosine_distances paired_euclidean_distances paired_manhattan_distances", ROWS[:5], OTHERS)
CALLS["randomized_svd"] = (lambda x: randomized_svd(x, 2, random_state=0)), (ROWS,)
CALLS["softmax"], CALLS["row_norms"] = (softmax, (ROWS,)), (row_norms, (ROWS,))


# -- what comes back --------------------------------------------------------------------------------------------------


def leaves(x: Any) -> Iterator[Any]:
    """The arrays and numbers of nested tuples and lists."""
    if isinstance(x, (tuple, list)):
        for item in x:
            yield from leaves(item)
    elif x is not None:
        yield x


@cache
def wanted(name: str) -> list[Any]:
    """What scikit-learn finds with NumPy's arrays."""
    function, data = CALLS[name]
    return list(leaves(function(*data)))


@pytest.mark.parametrize("name", CALLS)
def test_what_goes_in_comes_out_with_the_same_numbers(backend: str, name: str) -> None:
    xp = tn.namespace(backend)
    function, data = CALLS[name]
    with warnings.catch_warnings(), sklearn.config_context(array_api_dispatch=True):
        warnings.simplefilter("ignore")
        found = list(leaves(function(*map(xp.asarray, data))))
    assert len(found) == len(wanted(name))
    for ours, theirs in zip(found, wanted(name), strict=True):
        if isinstance(ours, tn.Tensor):
            assert ours.backend == backend
        else:
            assert not np.shape(ours), f"{type(ours).__name__}, not a tensor"
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=1e-6, atol=1e-9)


def test_labelled_tensors_are_refused() -> None:
    t = tn.tensor(IRIS, "sample feature")
    with sklearn.config_context(array_api_dispatch=True), pytest.raises(tn.errors.ModeError, match="silently"):
        parts.PCA(2).fit(t)
