"""A model's own graph, made ready for lowering: open axes, variables by name, and who called what.

The graph is the live one of a ConcreteFunction: its variables are captures, so they stay variables. While it is traced,
calls of layers and modules note which operations they made; those made inside of another call belong to the innermost.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.core import converter
from tensorflow.python.autograph.impl import api as autograph

from tensoria.errors import PortingError, TensoriaError
from tensoria.programs.captured import Dynamic, open_axes
from tensoria.programs.trees import Tree, flatten, unflatten
from tensoria.programs.types import Source

__all__ = ["Exported", "exported", "is_model", "line_of", "plain", "variables_of"]

LOCK = threading.RLock()
SAVED = ("saved_model.pb", "saved_model.pbtxt")


def is_model(value: Any) -> bool:
    """Whether a value is a Keras model or layer, a `tf.function`, a `tf.Module`, or the path of a saved one."""
    if isinstance(value, (str, os.PathLike)):
        path = os.fspath(value)
        saved = any(os.path.isfile(os.path.join(path, name)) for name in SAVED)
        return saved or (path.endswith(".keras") and os.path.isfile(path))
    if isinstance(value, tf.Module):
        return callable(value)
    if _is_layer(value):
        return bool(sys.modules["keras"].backend.backend() == "tensorflow")
    return hasattr(value, "get_concrete_function") or isinstance(value, tf.types.experimental.ConcreteFunction)


def _is_layer(value: Any) -> bool:
    keras = sys.modules.get("keras")
    layer = getattr(keras, "Layer", None)
    return layer is not None and isinstance(value, layer)


@dataclass
class Exported:
    """A model as a graph.

    Attributes:
        name: what the model is called.
        function: the graph with its captures (a ConcreteFunction).
        signature: the names of the arguments.
        tree: the shape of the arguments.
        leaves: the names of their tensors, in order.
        opened: what the axes of those with open ones are to be called.
        inputs: the graph's placeholders for them.
        examples: the tensors.
        call: the model as a function of the tensors.
        variables: the variables by name.
        names: for each variable's handle (by identity) its name.
        trainable: the names of the variables that training changes.
        calls: which operations were made by which call of a layer.
    """

    name: str
    function: Any
    signature: tuple[str, ...]
    tree: Tree
    leaves: tuple[str, ...]
    opened: Dynamic
    inputs: tuple[Any, ...]
    examples: tuple[Any, ...]
    call: Callable[..., Any]
    variables: Mapping[str, Any]
    names: Mapping[int, str]
    trainable: frozenset[str]
    calls: Calls


def exported(
    model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic, train: bool | None = None
) -> Exported:
    """The graph of a model for arguments like these.

    Raises:
        PortingError: TensorFlow does not trace it.
    """
    model, run, names = _opened(model, kwargs)
    if train is not None and _takes(run, names, "training"):
        kwargs = {**kwargs, "training": train}
    elif train:
        raise PortingError(f"{_name(model)} takes no argument training, so it has one mode.", legal="train=False")
    if _is_layer(model) and not model.built:
        _built(model, run, args, kwargs)
    given = named(names, args, kwargs)
    leaves, tree = flatten(tuple(given.values()), _is_tensor)
    named_leaves = [(root, path) for root, part in zip(given, tree.children, strict=True) for path in part.names(root)]
    paths = tuple(path for _, path in named_leaves)
    sized = [(*names, len(leaf.shape)) for names, leaf in zip(named_leaves, leaves, strict=True)]
    dynamic = {path: sizes for path, sizes in zip(paths, open_axes(dynamic, sized), strict=True) if sizes}
    specs = _specs(paths, leaves, dynamic)
    count = len(args)

    def traced(*tensors: Any) -> Any:
        values = unflatten(tree, tensors)
        return run(*values[:count], **dict(zip(list(given)[count:], values[count:], strict=True)))

    try:
        with noted(model) as calls:
            made = tf.function(tf.autograph.experimental.do_not_convert(traced)).get_concrete_function(*specs)
    except TensoriaError:
        raise
    except Exception as error:
        what = f"TensorFlow does not trace {_name(model)}: {type(error).__name__}: {_reason(error)}"
        raise PortingError(f"{what}{_line(error)}") from error
    # Arguments without tensors are part of the graph.
    own = {name: part for name, part in zip(given, tree.children, strict=True) if next(part.names(), None) is not None}
    variables = variables_of(model, made.graph.variables)
    return Exported(
        name=_name(model),
        function=made,
        signature=tuple(own),
        tree=Tree("tuple", (), tuple(own.values())),
        leaves=paths,
        opened=dynamic,
        inputs=tuple(made.graph.inputs[: len(leaves)]),
        examples=tuple(leaves),
        call=traced,
        variables=variables,
        names={id(variable.handle): name for name, variable in variables.items()},
        trainable=frozenset(name for name, variable in variables.items() if variable.trainable),
        calls=calls,
    )


def _built(model: Any, run: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Call a layer that has no variables yet: what is made while a graph is traced has no numbers."""
    try:
        run(*args, **kwargs)
    except Exception as error:
        what = f"{_name(model)} can not be called with these arguments: {type(error).__name__}: {_reason(error)}"
        raise PortingError(what) from error


def _opened(model: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Callable[..., Any], list[str]]:
    """A model, the function that runs it, and the names of its positional arguments."""
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        model = _stored(path)
        if not path.endswith(".keras"):
            if not callable(model) or "signature" in kwargs:
                wanted, kept = kwargs.get("signature", "serving_default"), list(model.signatures)
                if wanted not in kept:
                    legal = f"kwargs={{'signature': {kept[0]!r}}}" if kept else None
                    what = f"{path} has no signature {wanted!r}; it has {', '.join(kept) or 'none'}."
                    raise PortingError(what, legal=legal)
                found = model.signatures[wanted]
                run = functools.partial(_signature, found, model)
                return model, run, sorted(found.structured_input_signature[1])
            kept = getattr(model.__call__, "concrete_functions", ())
            names = [spec.name for spec in tf.nest.flatten(kept[0].structured_input_signature[0])] if kept else []
            return model, model, [name or f"x{n}" for n, name in enumerate(names)]
    if isinstance(model, tf.types.experimental.ConcreteFunction):
        positional, by_name = model.structured_input_signature
        if by_name and not positional:
            return model, functools.partial(_signature, model, None), sorted(by_name)
        return model, model, [spec.name or f"x{n}" for n, spec in enumerate(positional)]
    if hasattr(model, "get_concrete_function"):
        return model, model, _positional(model.python_function)
    if _is_layer(model):
        return model, model, _positional(model.call)
    # A module's own Python may choose by tensors, as it may in a `tf.function`.
    run = model if hasattr(type(model).__call__, "get_concrete_function") else tf.function(_caller(model))
    return model, run, _positional(type(model).__call__, bound=True)


def _caller(module: Any) -> Callable[..., Any]:
    def call(*args, **kwargs):  # type: ignore[no-untyped-def]
        return module(*args, **kwargs)

    return call


def _signature(function: Any, holder: Any, *args: Any, **named: Any) -> Any:
    """A call of a signature, which takes its arguments by name only."""
    names = sorted(function.structured_input_signature[1])
    return function(**dict(zip(names, args, strict=False)), **{n: x for n, x in named.items() if n in names})


def _positional(function: Any, bound: bool = False) -> list[str]:
    try:
        found = list(inspect.signature(getattr(function, "python_function", function)).parameters.values())
    except (TypeError, ValueError):
        return []
    kept: list[str] = []
    for parameter in found[1:] if bound else found:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            kept.append(f"*{parameter.name}")
        elif parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            kept.append(parameter.name)
    return [name for name in kept if name != "self"]


def _takes(function: Any, names: Sequence[str], name: str) -> bool:
    return _is_layer(function) or name in names


def named(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, positional ones first."""
    found: dict[str, Any] = {}
    for n, value in enumerate(args):
        at = names[n] if n < len(names) else names[-1] if names and names[-1].startswith("*") else f"x{n}"
        found[f"{at[1:]}_{n}" if at.startswith("*") else at] = value
    return {**found, **kwargs}


def _is_tensor(value: Any) -> bool:
    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor)):
        what = f"a {type(value).__name__} as an argument is not ported."
        raise PortingError(what, legal="a dense tensor and its sizes")
    return isinstance(value, (tf.Tensor, tf.Variable, np.ndarray))


def _stored(path: str) -> Any:
    """The model in a file of Keras or a SavedModel's folder."""
    import keras

    try:
        return keras.saving.load_model(path, compile=False) if path.endswith(".keras") else tf.saved_model.load(path)
    except TensoriaError:
        raise
    except Exception as error:
        raise PortingError(f"{path} can not be read: {type(error).__name__}: {_reason(error)}") from error


def _specs(paths: Sequence[str], leaves: Sequence[Any], dynamic: Dynamic) -> list[Any]:
    """What TensorFlow is told of the tensors: open axes have no size."""
    specs = []
    for path, leaf in zip(paths, leaves, strict=True):
        sizes = dynamic.get(path, (None,) * len(leaf.shape))
        shape = [size if name is None else None for size, name in zip(leaf.shape, sizes, strict=True)]
        specs.append(tf.TensorSpec(shape, leaf.dtype, name=path))
    return specs


def _name(model: Any) -> str:
    if _is_layer(model):
        return str(type(model).__name__)
    function = getattr(model, "python_function", None)
    if function is not None:
        return str(getattr(function, "__name__", "function")).replace("<lambda>", "function")
    if isinstance(model, tf.Module):
        return type(model).__name__
    return "saved_model" if hasattr(model, "signatures") else "function"


def _reason(error: Exception) -> str:
    """What an error says, without the frames that AutoGraph and Keras put around it."""
    text = str(error).strip()
    if "\x1b[1m" in text:  # Keras prints the reason in bold, below the layer's name
        text = text.split("\x1b[1m", 1)[1].split("\x1b[0m", 1)[0].strip()
    if text.startswith("in user code:"):
        text = text.split("\n\n")[-1].strip() or text
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[0].removeprefix(f"{type(error).__name__}: ") if lines else "no reason is given"


def _line(error: Exception) -> str:
    """The innermost line of the user's that an error went through."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not library(file) and "tensoria_tensorflow" not in file:
            found = f", at {file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


# -- variables --------------------------------------------------------------------------------------------------------


def variables_of(model: Any, more: Iterable[Any] = ()) -> dict[str, Any]:
    """The variables by name: Keras's paths, attributes of modules, or TensorFlow's own names.

    Args:
        more: variables that a graph uses besides.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def add(name: str, variable: Any) -> None:
        if id(variable.handle) in seen:
            return
        seen.add(id(variable.handle))
        count, base = 1, name
        while name in found:
            count += 1
            name = f"{base}_{count}"
        found[name] = variable

    if _is_layer(model):
        for variable in model.variables:
            add(variable.path, variable.value)
    elif isinstance(model, tf.Module):
        for path, variable in model._flatten(predicate=lambda item: isinstance(item, tf.Variable), with_path=True):
            add(".".join(map(str, path)), variable)
    elif hasattr(model, "signatures"):
        for variable, path in _walked(model):
            own = variable.name.removesuffix(":0")
            add(own if "/" in own else ".".join(path), variable)
    for variable in more:
        add(variable.name.removesuffix(":0"), variable)
    return found


def _walked(model: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """All variables below a loaded object, breadth first."""
    waiting: list[tuple[Any, tuple[str, ...]]] = [(model, ())]
    seen = {id(model)}
    while waiting:
        item, path = waiting.pop(0)
        if isinstance(item, tf.Variable):
            yield item, path
            continue
        children = item._trackable_children() if hasattr(item, "_trackable_children") else {}
        for name, child in children.items():
            if id(child) not in seen and name not in ("signatures", "keras_api"):
                seen.add(id(child))
                waiting.append((child, (*path, name)))


# -- who called what --------------------------------------------------------------------------------------------------


@dataclass
class Calls:
    """Which operations of which graph were made by which call of a layer.

    Attributes:
        spans: for each graph (by identity) the calls' first and last operation and the call, outer ones first.
        graphs: the graphs, which live as long as their identities are known.
    """

    spans: dict[int, list[tuple[int, int, Source]]] = field(default_factory=dict)
    graphs: list[Any] = field(default_factory=list)

    def of(self, graph: Any, number: int) -> Source | None:
        """The innermost call that made an operation, by its number in the graph."""
        if id(graph) not in self._changes:
            self._changes[id(graph)] = self._painted(self.spans.get(id(graph), []))
        starts, sources = self._changes[id(graph)]
        at = bisect.bisect_right(starts, number) - 1
        return sources[at] if at >= 0 else None

    @functools.cached_property
    def _changes(self) -> dict[int, tuple[list[int], list[Source | None]]]:
        return {}

    @staticmethod
    def _painted(spans: Sequence[tuple[int, int, Source]]) -> tuple[list[int], list[Source | None]]:
        """Nested intervals as the places where the innermost one changes."""
        events: list[tuple[int, int, int, Source]] = []
        for order, (first, last, source) in enumerate(spans):
            if last > first:
                events += [(first, 1, order, source), (last, 0, -order, source)]
        events.sort(key=lambda event: event[:3])
        starts: list[int] = []
        sources: list[Source | None] = []
        stack: list[Source] = []
        for place, opens, _, source in events:
            stack.append(source) if opens else stack.remove(source)
            starts.append(place)
            sources.append(stack[-1] if stack else None)
        return starts, sources


class _Notes:
    """The calls that are running, and those that have been."""

    def __init__(self, model: Any) -> None:
        self.model, self.calls = model, Calls()
        self.stack: list[tuple[Source, Any, int]] = []
        """The calls that are running: each with the graph in which it began, and its number there."""
        self.counts: dict[str, int] = {}
        self.paths: dict[str, Any] = {}
        self.attributes = _places(model)

    def begin(self, layer: Any) -> None:
        """A call begins."""
        path = ""
        if layer is not self.model or self.stack:
            above = self.stack[-1][0].module if self.stack else ""
            name = self.attributes.get(id(layer)) if not _is_layer(layer) else None
            path = name if name is not None else f"{above}.{layer.name}".lstrip(".")
            base, count = path, 1
            while self.paths.setdefault(path, layer) is not layer:
                count += 1
                path = f"{base}_{count}"
        again = self.counts.get(path, 0)
        self.counts[path] = again + 1
        kind = f"{type(layer).__module__}.{type(layer).__qualname__}"
        source = Source(module=path, call=again, kind=kind)
        graph = tf.compat.v1.get_default_graph()
        span = self.calls.spans.setdefault(id(graph), [])
        self.calls.graphs.append(graph)
        span.append((len(graph.get_operations()), -1, source))
        self.stack.append((source, graph, len(span) - 1))

    def end(self) -> None:
        """The innermost call ends."""
        source, graph, place = self.stack.pop()
        span = self.calls.spans[id(graph)]
        span[place] = (span[place][0], len(graph.get_operations()), source)


def _places(model: Any) -> dict[int, str]:
    """The attribute paths of a module's modules."""
    if _is_layer(model) or not isinstance(model, tf.Module):
        return {}
    found: dict[int, str] = {id(model): ""}
    for path, module in model._flatten(predicate=lambda item: isinstance(item, tf.Module), with_path=True):
        found.setdefault(id(module), ".".join(map(str, path)))
    return found


@contextlib.contextmanager
def noted(model: Any) -> Iterator[Calls]:
    """For the duration of a `with` block calls of layers and modules are noted."""
    notes = _Notes(model)
    before: list[tuple[Any, Any]] = []
    kinds: list[Any] = []
    layer = getattr(sys.modules.get("keras"), "Layer", None)
    if layer is not None:
        kinds.append(layer)
    if isinstance(model, tf.Module) and not _is_layer(model):
        own = {type(module) for module in (model, *model.submodules) if not _is_layer(module)}
        kinds += [kind for kind in own if "__call__" in kind.__dict__]
    with LOCK:
        try:
            for kind in kinds:
                original = kind.__dict__["__call__"]
                before.append((kind, original))
                kind.__call__ = _wrapped(original, notes.begin, notes.end, kind is not layer)
            yield notes.calls
        finally:
            for kind, original in before:
                kind.__call__ = original


def _wrapped(original: Any, begin: Any, end: Any, own: bool) -> Any:
    """A call that is noted; the Python of modules (no Keras layers) is converted where a `tf.function` converts."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        begin(self)
        try:
            if own and inspect.isfunction(original):
                options = converter.ConversionOptions(recursive=True)
                return autograph.converted_call(original, (self, *args), kwargs, options=options)
            return original.__get__(self, type(self))(*args, **kwargs)
        finally:
            end()

    return functools.update_wrapper(autograph.autograph_artifact(call), original, updated=())


def plain(value: Any) -> Any:
    """Containers as dictionaries, lists and tuples; a dictionary's subclass (a model's output) is one."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        parts = [plain(item) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


# -- lines ------------------------------------------------------------------------------------------------------------

OWN = os.path.dirname(__file__) + os.sep
LIBRARIES = tuple(os.sep + os.path.join(*parts) + os.sep for parts in (
    ("tensorflow", "python"), ("tensorflow", "core"), ("keras", "src"), ("tf_keras", "src"),
))  # fmt: skip
LAYERS = os.sep + os.path.join("keras", "src", "layers") + os.sep


def library(file: str) -> bool:
    """Whether a file is a framework's."""
    return file.startswith("<") or any(part in file for part in LIBRARIES)


def line_of(operation: Any) -> tuple[str, int]:
    """The innermost line that is not TensorFlow's or Keras's; else that of the Keras layer."""
    frames = [(frame.filename, frame.lineno) for frame in operation.traceback or ()]
    begun = next((n for n, (file, _) in enumerate(frames) if file.startswith(OWN)), -1)
    inner = frames[begun + 1 :]
    own = [frame for frame in inner if not library(frame[0]) and not frame[0].startswith(OWN)]
    layers = [frame for frame in inner if LAYERS in frame[0]]
    file, line = (own or layers or [("", 0)])[-1]
    return file, line
