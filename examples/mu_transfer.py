"""muTransfer on handwritten digits: in muP the best learning rate of a narrow network is that of a wide one.

A network with two hidden layers learns scikit-learn's 1,797 digits by Adam, at several widths and learning rates a
factor of two apart, once as PyTorch initialises it (standard parametrization) and once following a muP plan that
tensoria derives from the module. The loss is that of the training set, after a few passes over it, averaged over seeds.

    python examples/mu_transfer.py --full --picture mu_transfer.png

takes about two minutes of one thread and draws the losses at widths from 64 to 1024. Without options it looks at two
widths and one seed. It prints:

standard parametrization
  width    64: best learning rate 2^..., loss 0...
  width   512: best learning rate 2^..., loss 0...
  it falls with the width: by 2^...
muP
  width    64: best learning rate 2^..., loss 0...
  width   512: best learning rate 2^..., loss 0...
  it does not fall: by 2^...
"""

import argparse
import math

import torch
from sklearn.datasets import load_digits
from torch import nn

import tensoria as tn


class Network(nn.Module):
    """Two hidden layers of n units: an ordinary module that knows nothing of muP."""

    def __init__(self, n):
        super().__init__()
        self.first, self.second, self.readout = nn.Linear(64, n), nn.Linear(n, n), nn.Linear(n, 10)

    def forward(self, x):
        return self.readout(torch.relu(self.second(torch.relu(self.first(x)))))


def digits():
    """Images with mean 0 and deviation 1, and their digits."""
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images, dtype=torch.float32)
    return (images - images.mean()) / images.std(), torch.tensor(labels)


def final_loss(n, lr, plan, epochs, seed, data):
    """The loss on all digits after training; NaN counts as the loss of guessing."""
    torch.manual_seed(seed)
    model = Network(n)
    if plan is None:
        optimizer = torch.optim.Adam(model.parameters(), lr, fused=True)
    else:
        plan.apply(model)
        optimizer = torch.optim.Adam(plan.param_groups(lr, eps=1e-8), fused=True)
    images, labels = data
    batches = [batch for _ in range(epochs) for batch in torch.randperm(len(images)).split(64)]
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / len(batches))
    for batch in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        decay.step()
    with torch.no_grad():
        loss = float(nn.functional.cross_entropy(model(images), labels))
    return min(loss, math.log(10)) if math.isfinite(loss) else math.log(10)


def sweep(widths, rates, plan, epochs, seeds, data):
    """For each width the losses at all learning rates: the geometric mean over seeds."""
    return {
        n: [
            math.exp(sum(math.log(final_loss(n, lr, plan, epochs, seed, data)) for seed in range(seeds)) / seeds)
            for lr in rates
        ]
        for n in widths
    }


def best(rates, losses):
    """The base-2 logarithm of the best learning rate: the vertex of a parabola through the lowest three points."""
    k = min(range(1, len(rates) - 1), key=lambda i: losses[i])
    a, b, c = (math.log(losses[i]) for i in (k - 1, k, k + 1))
    curvature = a - 2 * b + c
    shift = 0.5 * (a - c) / curvature if curvature > 0 else 0.0
    return math.log2(rates[k]) + max(-1.0, min(1.0, shift))


def drift(rates, losses):
    """By how many factors of two the best learning rate falls from the narrowest network to the widest."""
    first, *_, last = losses
    return best(rates, losses[first]) - best(rates, losses[last])


def picture(path, rates, results):
    """The losses over the learning rate, one line for each width, standard parametrization beside muP."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, (title, losses) in zip(figure.subplots(1, 2, sharey=True), results.items(), strict=True):
        for k, (n, values) in enumerate(losses.items()):
            shade = k / max(1, len(losses) - 1)
            (line,) = panel.plot(rates, values, marker="o", markersize=3, label=str(n), color=(0.85 * (1 - shade), 0.3,
                                                                                              0.2 + 0.7 * shade))
            panel.axvline(2 ** best(rates, values), color=line.get_color(), linewidth=0.8, linestyle=":")
        panel.set(xscale="log", yscale="log", xlabel="learning rate at width 64", title=title)
        panel.legend(title="width", fontsize=8)
    figure.axes[0].set_ylabel("training loss")
    figure.savefig(path, dpi=120)


def main():
    """Sweep both parametrizations and say where the best learning rate went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="widths from 64 to 1024, more passes, two seeds")
    parser.add_argument("--picture", help="where to draw the losses")
    given, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    widths = (64, 128, 256, 512, 1024) if given.full else (64, 512)
    epochs, seeds = (3, 2) if given.full else (2, 1)
    rates = [2.0**k for k in (range(-12, -2) if given.full else range(-9, -2))]
    data = digits()
    plan = tn.mup.plan(Network, (data[0][:2],), base=64, optimizer="adam", table="T8")
    results = {
        "standard parametrization": sweep(widths, rates, None, epochs, seeds, data),
        "muP": sweep(widths, rates, plan, epochs, seeds, data),
    }
    for title, losses in results.items():
        print(title)
        for n, values in losses.items():
            print(f"  width {n:5}: best learning rate 2^{best(rates, values):.1f}, loss {min(values):.4f}")
        fall = drift(rates, losses)
        print(f"  {'it falls with the width' if fall > 0.5 else 'it does not fall'}: by 2^{fall:.1f}")
    if given.picture:
        picture(given.picture, rates, results)
        print(f"drawn in {given.picture}")


if __name__ == "__main__":
    main()
