"""Descent with a metric that the data define: the units of the features no longer matter.

Linear regression of y on two features x^i with weights w_i. The gradient of the loss by w is a vector, g^i, and
`w - g` an error: only a metric makes a covector of it. The second moments of the data, C^ij = <x^i x^j>, are a metric
on covectors; descent with it reaches the least-squares solution in one step, whichever units the features are in.
With the components' own square as the metric, the step that suits metres is hopeless in millimetres. It prints:

the gradient of w(_i) has the axes ^i; w - g: VarianceError
                        one step, metric of the data   100 steps, metric of the components
metres and kilograms    loss 0.000000                  loss 0.000000
millimetres and tonnes  loss 0.000000                  loss 0.071...
"""

import numpy as np

import tensoria as tn
from tensoria.errors import VarianceError

FEATURES = tn.Space("features", 2)
i, j = tn.indices("i j", FEATURES)


def data():
    """One hundred samples of lengths and masses, and what is measured of them: 2 length + 0.5 mass."""
    random = np.random.default_rng(0)
    x = random.normal(size=(100, 2)) @ np.array([[1.0, 0.4], [0.0, 0.8]])
    return tn.tensor(x, ["sample", i]), tn.tensor(x @ np.array([2.0, 0.5]), "sample")


def loss(w, x, y):
    """Half the mean squared error."""
    error = w * x - y
    return tn.mean(error**2, axis="sample") / 2


def step(w, x, y, rate, metric):
    """One step of descent; the metric lowers the gradient, which is a vector."""
    return w - rate * tn.grad(loss)(w, x, y).lowered(metric=metric)


def main():
    """Compare both metrics in two systems of units."""
    x, y = data()
    start = tn.tensor([0.0, 0.0], [-i])
    gradient = tn.grad(loss)(start, x, y)
    try:
        start - gradient
    except VarianceError as error:
        print(f"the gradient of w(_i) has the axes {gradient.axes}; w - g: {type(error).__name__}")
    print(f"{'':23} one step, metric of the data   100 steps, metric of the components")
    for units, scale in (("metres and kilograms", [1.0, 1.0]), ("millimetres and tonnes", [1000.0, 0.001])):
        scaled = tn.tensor(x.array * np.array(scale), ["sample", i])
        moments = tn.einsum("s ^i, s ^j -> ^i ^j", scaled, scaled) / len(x)
        natural = step(start, scaled, y, 1.0, moments)
        # The same step in components, as large as the data allow without diverging.
        euclidean, w = tn.tensor(np.eye(2), [-i, -j]), start
        rate = 1 / float(np.linalg.eigvalsh(moments.array)[-1])
        for _ in range(100):
            w = step(w, scaled, y, rate, euclidean)
        found = [f"loss {abs(float(loss(weights, scaled, y))):.6f}" for weights in (natural, w)]
        print(f"{units:23} {found[0]:30} {found[1]}")


if __name__ == "__main__":
    main()
