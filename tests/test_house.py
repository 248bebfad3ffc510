"""The house in order: which way imports run, what `import tensoria` loads, what is told, and who refuses labels."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from types import ModuleType

import pytest

import tensoria as tn
from tensoria.errors import BackendNotFoundError, ModeError
from tensoria.namespace.rules import RULES, Rule

PACKAGE = Path(tn.__file__).parent
FRAMEWORKS = frozenset(("torch", "tensorflow", "jax", "keras", "cupy", "dask", "mxnet"))
ORDER = """
errors
structure special_values
spectral
spaces
indices
declared
notation
dtypes
components domains literals
planning
planner
network model_backend
backend
discovery
conversion
casting core
matching permuting
metric
coordinatewise
contraction
einsum
algebra.raising algebra.symmetry
algebra.*
views keys
indexing
printing operators
tensor
making pytree
namespace.refusals namespace.rules namespace.signatures
namespace.dispatch
namespace.data_types namespace.linear_algebra
namespace.*
random.arguments random.words
random.threefry
random.keys
random.bits
random.integers random.uniform random.normal
random.sampling
random
decompositions.framing decompositions.sweeps
decompositions.mttkrp decompositions.residual
decompositions.normal_equations decompositions.updates
decompositions.truncation
decompositions.*
modules registration
calculus.trees
calculus.lifting
calculus.gradient
calculus.products calculus.jacobian calculus.mapping calculus.connection calculus.integration
calculus.fields
calculus.metric_field
calculus.covariant calculus.curvature
calculus.*
programs.dimensions programs.trees
programs.binding programs.size_notation
programs.types programs.labels
programs.operations.row
programs.operations.elementwise
programs.operations.reductions
programs.operations.*
programs.operations
programs.definitions.performing
programs.definitions.activations programs.definitions.normalisation
programs.definitions.*
programs.definitions
programs.recorder
programs.standard.operands
programs.standard.indexing
programs.standard.manipulation
programs.standard.reductions
programs.standard.*
programs.standard programs.evaluation
programs.base
programs.naming
programs.passes.rewriting programs.passes.inlining programs.passes.dead_code
programs.derivatives.rule
programs.derivatives.elementwise programs.derivatives.reductions programs.derivatives.manipulation
programs.derivatives.indexing programs.derivatives.creation programs.derivatives.contraction
programs.derivatives.linear_algebra programs.derivatives.factorisations programs.derivatives.fourier
programs.derivatives.control programs.derivatives.neural
programs.derivatives
programs.derivatives.reverse
programs.symbolic
programs.passes.matching
programs.passes.masks
programs.passes.attention programs.passes.compositions
programs.passes.*
programs.passes.fusion
programs.passes
programs.differentiation
programs.statements
programs.archives
programs.dialects
programs.source programs.files programs.state
programs.regions
programs.drawing
programs.compiled programs.natives programs.parts programs.neutral
programs.classes
programs.program
programs.control
programs.*
porting.models porting.lowering
porting.parity.widening
porting.parity.measuring porting.parity.matching
porting.parity.cases
porting.parity.outcomes
porting.parity.findings
porting.parity.page
porting.parity.report
porting.parity
porting
limits.laws limits.sums
limits.unification
limits.instance
limits.widths
limits.loops
limits.uses
limits.scaling
limits.parametrizations
limits.language.numbers limits.language.activations
limits.language.dimensions
limits.language.nonlinearity
limits.language.instructions
limits.language.printing
limits.language.builder
limits.language.*
limits.expectation.algebra limits.language.growth
limits.language.continuity
limits.language.classification
limits.expectation.closed_forms
limits.expectation.recognition limits.expectation.pairs limits.expectation.estimate limits.expectation.quadrature
limits.expectation.duals limits.expectation.exact limits.expectation.particles
limits.expectation.*
limits.outer limits.simulation limits.variables
limits.theorem
limits.quantiles limits.tensor_program
limits.amp limits.spectra limits.mean_field limits.training.tape
limits.training limits.training.optimizers limits.training.scaling
limits.training.kernel_regime
limits.training.unrolled
limits.tracing
limits.reading.expressions
limits.reading.nodes
limits.reading.families
limits.reading.components
limits.reading.settling limits.reading.axes
limits.reading.reader
limits.reading.rules limits.reading.telling
limits.reading.contractions
limits.reading.movements
limits.reading.reductions
limits.reading.images
limits.reading.control
limits.reading
limits.kernels limits.prediction limits.empirical
limits.kernels.session limits.kernels.progress
limits.kernels.entries limits.kernels.norms limits.kernels.lattice
limits.kernels.norm_tangents limits.kernels.particles
limits.kernels.sampled_tangents
limits.kernels.covariance
limits.kernels.tangents
limits.kernels.kernel
limits.expansion
limits.analysis limits.digits
limits.demonstration
limits
mup.models mup.tables
mup.roles
mup.plans
mup.coordinates mup.records
mup
tensoria
porter startup
tour.*
cli
"""
"""Every line may import from the lines above it, and from nothing else; `tensoria` is the package's own namespace."""
LEVELS = [line.split() for line in ORDER.split("\n") if line]


@cache
def modules() -> dict[str, Path]:
    """The files of the library by module name, without the leading `tensoria.`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name or "tensoria"] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    """A module's text, parsed."""
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports, at the top and inside of functions alike: full names of modules."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            # `from tensoria import contraction` imports a module, `from tensoria import Space` a name.
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner.removeprefix("tensoria.") in modules() else str(node.module))
    return frozenset(found)


def own_imports(name: str) -> set[str]:
    """The library's own modules among them."""
    return {
        x.removeprefix("tensoria.") for x in imports(name) if x == "tensoria" or x.startswith("tensoria.")
    } - {name}  # fmt: skip


def level(name: str) -> int:
    """The line of the table that a module stands in: one that names it, or the `*` of its (nearest) folder."""
    parts = name.split(".")
    for wanted in (name, *(".".join((*parts[:n], "*")) for n in range(len(parts), 0, -1))):
        for number, line in enumerate(LEVELS):
            if wanted in line:
                return number
    raise AssertionError(f"tensoria/{name.replace('.', '/')}.py has no place in the table ORDER of this test")


# -- arrows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", modules())
def test_nothing_in_the_library_names_a_framework(name: str) -> None:
    found = {module.partition(".")[0] for module in imports(name)}
    assert not found & FRAMEWORKS
    assert not {module for module in found if module.startswith("tensoria_")}


@pytest.mark.parametrize("name", modules())
def test_arrows_run_downwards_only(name: str) -> None:
    mine = level(name)
    for other in own_imports(name):
        # The files of the tour are one floor; that they form no circle is held below.
        same_floor = name.partition(".")[0] == other.partition(".")[0] == "tour"
        assert level(other) < mine or same_floor, f"tensoria.{name} imports tensoria.{other}"


def test_there_is_no_import_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " imports ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in own_imports(name):
                # A folder's own file names its contents; reaching it through them is no circle of ideas.
                visit(other, (*path, name))
            done.add(name)

    for name in modules():
        visit(name, ())


def test_every_line_of_the_order_is_in_use() -> None:
    used = {level(name) for name in modules()}
    assert used == set(range(len(LEVELS)))


# -- importing --------------------------------------------------------------------------------------------------------


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a module is imported, in order; not what stands there for type checkers."""
    for node in body:
        if isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from statements([*node.body, *node.orelse])
        elif isinstance(node, (ast.Try, ast.With)):
            yield from statements(node.body)
        else:
            yield node


@cache
def steps(name: str) -> list[tuple[str, str, list[str]]]:
    """What an import of a module does: modules of ours that it loads, what it takes of them, names that it binds."""
    found = []
    for node in statements(tree(name).body):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "tensoria":
            found.append(("load", str(node.module).removeprefix("tensoria."), [alias.name for alias in node.names]))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound = [alias.asname or alias.name for alias in node.names]
        else:
            bound = [x.id for x in ast.walk(node) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)]
        found.append(("bind", "", bound))
    return found


def import_first(name: str) -> None:
    """Import a module into a process that has none of ours, by the text alone.

    Raises:
        AssertionError: a name is taken from a module that has not come to it yet.
    """
    begun: dict[str, set[str]] = {}
    done: set[str] = set()

    def load(name: str) -> None:
        for parent in ("tensoria", *accumulate(name.split(".")[:-1], "{}.{}".format)):
            if parent != name and parent not in begun:
                load(parent)
        if name in begun:
            return
        begun[name] = set()
        for step, source, names in steps(name):
            if step == "bind":
                begun[name].update(names)
                continue
            load(source)
            for taken in names:
                inner = taken if source == "tensoria" else f"{source}.{taken}"
                if inner in modules():
                    load(inner)
                else:
                    there = source in done or taken in begun[source]
                    assert there, f"tensoria.{name} takes {taken} from tensoria.{source}, which is being imported"
        done.add(name)

    load(name)


def test_every_module_can_be_imported_first() -> None:
    for name in modules():
        import_first(name)


def test_the_upper_floors_are_named_once_for_types_and_once_for_use() -> None:
    (block,) = (node for node in tree("tensoria").body if isinstance(node, ast.If))
    typed = {
        node.module.removeprefix("tensoria."): {alias.name for alias in node.names}
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module not in (None, "tensoria")
    }
    floors = [alias.name for node in block.body if getattr(node, "module", "") == "tensoria" for alias in node.names]
    assert tuple(floors) == tn.FLOORS
    assert {module: set(names.split()) for module, names in tn.LATER.items()} == typed
    assert set(tn.__all__) <= set(dir(tn))
    for name in tn.__all__:
        assert hasattr(tn, name), name


def test_the_upper_floors_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, tensoria as tn; "
        "above = [m for m in sys.modules if m.split('.')[1:2] and m.split('.')[:2] in "
        "[['tensoria', floor] for floor in ('calculus', 'decompositions', 'porting', 'programs', 'random')]]; "
        "assert not above, above; tn.dim; assert 'tensoria.programs.dimensions' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_tensoria_imports_numpy_and_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import tensoria; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert {"tensoria", "numpy"} <= loaded
    assert loaded - {"tensoria", "numpy"} <= sys.stdlib_module_names | {"__mp_main__"}


def test_the_first_tensor_on_numpy_loads_no_other_framework() -> None:
    code = (
        "import sys, tensoria as tn; i, j = tn.indices('i j', tn.Space('V', 2)); v = tn.tensor([1., 2.], [j]);"
        "A = tn.tensor([[1., 2.], [3., 4.]], [i, -j]); str(A * v + A @ v); tn.einsum('^i _j, ^j -> ^i', A, v);"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "tensoria_numpy" in loaded
    assert not loaded & (FRAMEWORKS | {"opt_einsum", "einops", "optree"})


def test_the_backend_of_torch_leaves_the_compiler_to_who_compiles() -> None:
    code = "import sys, tensoria as tn; tn.namespace('torch'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert not {"torch._dynamo", "torch._inductor", "sympy"} & set(run.stdout.split())


# -- public names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tn.__all__)
def test_every_public_name_exists_and_is_told(name: str) -> None:
    value = getattr(tn, name)
    if callable(value) or isinstance(value, ModuleType):
        assert inspect.getdoc(value), f"tn.{name} has no docstring"


def test_every_public_method_of_a_tensor_is_told() -> None:
    for name in dir(tn.Tensor):
        if not name.startswith("_"):
            assert inspect.getdoc(getattr(tn.Tensor, name)), f"Tensor.{name} has no docstring"


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_exports(name: str) -> None:
    module = importlib.import_module("tensoria" if name == "tensoria" else f"tensoria.{name}")
    assert module.__doc__
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported), f"{name}.__all__ has {exported}"


# -- one row for each function ----------------------------------------------------------------------------------------

CHAPTERS = sorted(
    found.name
    for found in pkgutil.iter_modules(importlib.import_module("tensoria.namespace").__path__)
    if found.name not in ("dispatch", "inspection", "refusals", "rules", "signatures")
)
FUNCTIONS = {
    name: getattr(importlib.import_module(f"tensoria.namespace.{chapter}"), name)
    for chapter in CHAPTERS
    for name in importlib.import_module(f"tensoria.namespace.{chapter}").__all__
    if callable(getattr(importlib.import_module(f"tensoria.namespace.{chapter}"), name))
}
TAKES_NO_TENSOR = frozenset(
    ("arange", "empty", "eye", "fftfreq", "from_dlpack", "full", "linspace", "ones", "rfftfreq", "zeros")
)
ASKS_FOR_DATA_TYPES = frozenset(("can_cast", "finfo", "iinfo", "isdtype", "result_type"))
COMPOSES = frozenset(("matmul",))
"""On labelled tensors it is `@`: which indices meet is a rule of its own."""


def test_every_row_is_a_function_of_a_chapter() -> None:
    assert set(RULES) <= set(FUNCTIONS)
    assert set(RULES.values()) <= set(Rule)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(RULES) - TAKES_NO_TENSOR - ASKS_FOR_DATA_TYPES - COMPOSES))
def test_a_function_without_a_row_refuses_labelled_input(name: str) -> None:
    i, j = tn.indices("i j", tn.Space("V", 2, privileged=True))
    t = tn.tensor([[1.0, 2.0], [3.0, 4.0]], [i, j])
    refused = 0
    for arguments in ((t,), (t, t), (t, 0), (t, (2, 2)), (t, 0, 1), ([t, t],)):
        try:
            result = FUNCTIONS[name](*arguments)
        except ModeError:
            refused += 1
        except (TypeError, AttributeError):  # not its arguments
            continue
        else:
            pytest.fail(f"tn.{name} has no row in the table, and returns {result!r}")
    assert refused


# -- doctests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", modules())
def test_docstrings_run(name: str) -> None:
    module = importlib.import_module("tensoria" if name == "tensoria" else f"tensoria.{name}")
    report: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("backend", tn.available())
def test_docstrings_of_backends_run(backend: str) -> None:
    try:
        with tn.use(backend):
            package = importlib.import_module(f"tensoria_{backend}")
    except BackendNotFoundError as missing:
        pytest.skip(missing.message)
    report: list[str] = []
    for found in pkgutil.walk_packages(package.__path__, f"tensoria_{backend}."):
        for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(found.name)):
            doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)
