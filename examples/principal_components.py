"""Principal components of handwritten digits: scikit-learn's PCA, computed by every backend.

scikit-learn is written against the Array API; given tensors it finds their namespace and stays there, so the singular
value decomposition below is TensorFlow's, and PyTorch's, on a GPU if there is one. The components come back as tensors
of that backend and device. The largest difference is to what scikit-learn finds with NumPy's arrays. It prints:

1797 digits of 64 pixels; 10 components explain 73.8 % of their variance
numpy on ...: Tensor of 1797x10, largest difference below 1e-09
tensorflow on ...: Tensor of 1797x10, largest difference below 1e-09
torch on ...: Tensor of 1797x10, largest difference below 1e-09
"""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # SciPy reads it when it is imported, and scikit-learn asks for it

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import tensoria as tn
from tensoria.errors import BackendNotFoundError


def fastest(xp):
    """A GPU of the backend, if it has one."""
    devices = xp.__array_namespace_info__().devices()
    return next((device for device in devices if device != "cpu"), "cpu")


def main():
    """Find the components with NumPy's arrays, then with tensors."""
    digits = load_digits().data
    pca = PCA(10, svd_solver="full")
    wanted = pca.fit_transform(digits)
    share = 100 * pca.explained_variance_ratio_.sum()
    print(f"{len(digits)} digits of {digits.shape[1]} pixels; 10 components explain {share:.1f} % of their variance")
    for backend in tn.available():
        try:
            xp = tn.namespace(backend)
        except BackendNotFoundError:
            continue
        X = xp.asarray(digits, device=fastest(xp))
        with sklearn.config_context(array_api_dispatch=True):
            found = PCA(10, svd_solver="full").fit_transform(X)
        assert isinstance(found, tn.Tensor)
        assert found.device == X.device
        largest = float(np.abs(np.asarray(found) - wanted).max())
        bound = "below 1e-09" if largest < 1e-9 else f"{largest:.1e}"
        rows, columns = found.shape
        print(f"{found.backend} on {found.device}: Tensor of {rows}x{columns}, largest difference {bound}")


if __name__ == "__main__":
    main()
