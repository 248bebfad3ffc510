"""A plain module of PyTorch, infinitely wide: NNGP and NTK regression on scikit-learn's handwritten digits.

`tn.limits.analyse` captures the module at three widths and derives its kernels; four networks of width 256 are trained
beside them. (`tensoria limit` is the same from the command line.) It prints:

NNGP, posterior                          accuracy 0.95...
NTK, trained to the end                  accuracy 0.96...
NTK, 100 steps                           accuracy 0.91...
4 networks of width 256, one by one      accuracy 0.8...
4 networks of width 256, ensemble        accuracy 0.8...
the ensemble is 0... away from the flow, root mean square; its covariance says 0...
"""

import torch
from torch import nn

import tensoria as tn
from tensoria.limits.digits import compare, digits


class Perceptron(nn.Module):
    """Two hidden layers of a width."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    def forward(self, x):
        return self.layers(x)


# He's initialisation, with normal entries: of the input layer they matter in the limit too.
LAWS = {
    "layers.0.weight": tn.limits.Law(2 / 64),
    "layers.2.weight": tn.limits.Law(2.0, -1),
    "layers.4.weight": tn.limits.Law(1.0, -1),
    "*.bias": tn.limits.Law(0.01),
}


def main():
    """Analyse, predict, and train networks beside."""
    tp = tn.limits.analyse(Perceptron, (torch.ones(2, 64),), laws=LAWS)
    data = digits(train=300, test=300, dtype="float32")
    found = compare(tp, data, width=256, networks=4, steps=100, backend="torch")
    for row in found.rows:
        print(f"{row.name:40} accuracy {row.accuracy:.3f}")
    print(f"the ensemble is {found.distance:.2f} away from the flow, root mean square;"
          f" its covariance says {found.expected:.2f}")


if __name__ == "__main__":
    main()
