"""The Python Array API standard (2025.12) on TensorFlow's own tensors, one file per chapter.

Functions take and return `tf.Tensor`; a `tf.Variable` is read at each use. They work eagerly, under `tf.GradientTape`
and inside `tf.function` with axes of unknown length, and follow the standard where TensorFlow differs: types promote,
NaN has its place, integer arithmetic wraps, ranks go beyond eight, batch axes broadcast. Dtypes are `tf.DType`
objects. Beyond the standard there are `getitem` and `setitem`, the subscripts of a tensor as functions.

    >>> import tensoria_tensorflow.namespace as xp
    >>> xp.sum(xp.asarray([[1, 2], [3, 4]]), axis=0).numpy()
    array([4, 6])
"""

from __future__ import annotations

import math

from . import (
    creation,
    data_types,
    elementwise,
    fft,
    indexing,
    linalg,
    linear_algebra,
    manipulation,
    searching,
    sets,
    sorting,
    statistical,
    utility,
)
from .creation import *  # noqa: F403
from .data_types import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .indexing import *  # noqa: F403
from .linear_algebra import *  # noqa: F403
from .manipulation import *  # noqa: F403
from .searching import *  # noqa: F403
from .sets import *  # noqa: F403
from .sorting import *  # noqa: F403
from .statistical import *  # noqa: F403
from .utility import *  # noqa: F403

__array_api_version__ = "2025.12"

e = math.e
pi = math.pi
inf = math.inf
nan = math.nan
newaxis = None

__all__ = ["e", "fft", "inf", "linalg", "nan", "newaxis", "pi"]
__all__ += creation.__all__
__all__ += data_types.__all__
__all__ += elementwise.__all__
__all__ += indexing.__all__
__all__ += linear_algebra.__all__
__all__ += manipulation.__all__
__all__ += searching.__all__
__all__ += sets.__all__
__all__ += sorting.__all__
__all__ += statistical.__all__
__all__ += utility.__all__
