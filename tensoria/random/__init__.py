"""Random numbers from explicit keys, the same on every backend and device, in compiled functions too.

    key = tn.random.key(0)
    a, b = tn.random.split(key)
    x = tn.random.normal(a, (3, 4))

Threefry, a generator whose numbers are functions of a key and a counter, draws bits; everything else is made of them
by operations that are exact, but for the logarithm in the tails of normal numbers.
"""

from tensoria.random.bits import bits
from tensoria.random.integers import integers
from tensoria.random.keys import fold_in, key, split
from tensoria.random.normal import normal
from tensoria.random.sampling import choice, permutation
from tensoria.random.uniform import uniform

__all__ = ["bits", "choice", "fold_in", "integers", "key", "normal", "permutation", "split", "uniform"]
