"""Faults that backends have had or could have, each with the contracts that have to notice it.

A fault changes functions of a copy of the NumPy backend (`broken_backend`). What no backend decides, such as which
indices may meet, is changed in the library itself (`library`), for as long as the fault lasts. Every entry makes the
wrong function of the right one.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from broken_backend import pulled

import tensoria as tn
from tensoria import coordinatewise, indexing, making
from tensoria.errors import TensoriaError

Change = Callable[[Callable[..., Any]], Callable[..., Any]]
F64, STATE = np.float64, itertools.cycle(range(200))
(P_INDEX,) = tn.indices("p", tn.Space("P", 3, privileged=True))


@dataclass(frozen=True)
class Fault:
    """What is wrong, and which contracts do not hold then."""

    breaks: str
    xp: Mapping[str, Change] = field(default_factory=dict)
    operators: Mapping[str, Change] = field(default_factory=dict)
    kernels: Mapping[str, Change] = field(default_factory=dict)
    methods: Mapping[str, Change] = field(default_factory=dict)
    library: Mapping[tuple[Any, str], Change] = field(default_factory=dict)

    @property
    def contracts(self) -> list[str]:
        """The names of the contracts."""
        return [f"test_{name}" for name in self.breaks.split()]


# -- ways of being wrong ----------------------------------------------------------------------------------------------


def then(change: Callable[[Any], Any]) -> Change:
    """The right result, and then something done to it."""
    return lambda f: lambda *a, **k: change(f(*a, **k))


def instead(wrong: Callable[..., Any]) -> Change:
    """Another function altogether."""
    return lambda f: wrong


def ignoring(*options: str) -> Change:
    """Some options have no effect."""
    return lambda f: lambda *a, **k: f(*a, **{name: x for name, x in k.items() if name not in options})


def first(change: Callable[[Any], Any]) -> Change:
    """Something done to the first argument."""
    return lambda f: lambda x, *a, **k: f(change(x), *a, **k)


def single(f: Callable[..., Any]) -> Callable[..., Any]:
    """Computed in single precision, and returned in double."""

    def low(x: Any) -> Any:
        return x.astype("float32").astype("float64") if getattr(x, "dtype", None) == F64 else x

    return lambda *a, **k: low(f(*map(low, a), **k))


def quietly(f: Callable[..., Any]) -> Callable[..., Any]:
    """Without NumPy's warnings."""
    return np.errstate(all="ignore")(f)


def off(x: Any) -> Any:
    """A number that is not quite right."""
    if isinstance(x, tuple):
        return type(x)(*map(off, x)) if hasattr(x, "_fields") else tuple(map(off, x))
    if x.dtype == bool:
        return ~x
    return x + x.dtype.type(1) if x.dtype.kind in "iu" else x * x.dtype.type(1.001) + x.dtype.type(0.001)


def lenient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses nothing."""

    @functools.wraps(f)
    def call(*a: Any, **k: Any) -> Any:
        try:
            return f(*a, **k)
        except TensoriaError:
            return None

    return call


def from_the_left(f: Callable[..., Any]) -> Callable[..., Any]:
    """Broadcasts from the first axis, as some languages do."""

    def call(a: Any, b: Any) -> Any:
        a, b = np.asarray(a), np.asarray(b)
        rank = max(a.ndim, b.ndim)
        return f(*(x.reshape(x.shape + (1,) * (rank - x.ndim)) for x in (a, b)))

    return call


def as_float64(f: Callable[..., Any]) -> Callable[..., Any]:
    """Promotes everything to double precision."""
    return lambda a, b: f(a, b) + F64(0)


def cut(f: Callable[..., Any]) -> Callable[..., Any]:
    """Takes what fits of two shapes instead of refusing them."""

    def call(a: Any, b: Any) -> Any:
        try:
            return f(a, b)
        except ValueError:
            n = min(len(a), len(b))
            return f(a[:n], b[:n])

    return call


PRODUCTS = (
    "dot", "inner", "matvec", "matmul", "dot_nt", "dot_tn", "dot_tt", "matmul_nt", "matmul_tn", "matmul_tt", "multiply",
    "vecdot",
)  # fmt: skip
"""The kernels of a backend that multiply."""


def methods_of_tensors(*names: str) -> dict[tuple[Any, str], Change]:
    return {(tn.Tensor, name): lenient for name in names}


def functions(*names: str) -> dict[tuple[Any, str], Change]:
    return {(tn, name): lenient for name in names}


# -- the faults -------------------------------------------------------------------------------------------------------

FAULTS: dict[str, Fault] = {
    # elementwise
    "exponentials in single precision": Fault(
        "analytic_functions_have_their_values double_precision_is_kept gradients_of_elementary_functions",
        xp={"exp": single},
    ),
    "infinities are replaced by large numbers": Fault(
        "functions_at_infinities_nan_and_zero outside_of_the_domain_is_nan",
        xp={name: then(np.nan_to_num) for name in ("sqrt", "log", "exp")},
    ),
    "zeros lose their sign": Fault(
        "zeros_have_a_sign functions_at_infinities_nan_and_zero",
        xp={name: then(lambda x: x + 0.0) for name in ("floor", "sin", "negative")},
    ),
    "less is not greater-or-equal": Fault(
        "comparisons_are_those_of_ieee", operators={"less": instead(lambda a, b: ~(np.asarray(a) >= np.asarray(b)))}
    ),
    "halves are rounded up": Fault("halves_are_rounded_to_even", xp={"round": instead(lambda x: np.floor(x + 0.5))}),
    "division truncates": Fault(
        "division_rounds_down",
        operators={
            "floor_divide": instead(lambda a, b: np.trunc(a / b).astype(a.dtype)),
            "remainder": instead(np.fmod),
        },
    ),
    "right shifts fill with zeros": Fault(
        "bits_are_those_of_twos_complement",
        operators={"bitwise_right_shift": instead(lambda a, n: (a.view(np.uint64) >> np.uint64(n)).view(np.int64))},
    ),
    "exclusive or is inclusive": Fault("logic_is_boolean", xp={"logical_xor": instead(np.logical_or)}),
    "hypot squares": Fault(
        "careful_functions_neither_overflow_nor_cancel",
        xp={"hypot": instead(quietly(lambda x, y: np.sqrt(x * x + y * y)))},
    ),
    "log1p adds one": Fault(
        "careful_functions_neither_overflow_nor_cancel", xp={"log1p": instead(lambda x: np.log(1 + x))}
    ),
    "square roots on the other branch": Fault(
        "complex_functions_have_the_principal_branch", xp={"sqrt": then(lambda x: -x if x.dtype.kind == "c" else x)}
    ),
    "softmax is not shifted": Fault("softmax_is_a_distribution", xp={"max": then(np.zeros_like)}),
    # broadcasting
    "operators broadcast from the first axis": Fault(
        "operands_broadcast_from_the_last_axis",
        methods={"add": from_the_left, "multiply": from_the_left},
    ),
    "functions broadcast from the first axis": Fault(
        "functions_of_two_arrays_broadcast", xp={"maximum": from_the_left, "atan2": from_the_left}
    ),
    "comparisons broadcast from the first axis": Fault(
        "comparisons_broadcast", operators={"less": from_the_left, "equal": from_the_left}
    ),
    "where takes the other choice": Fault("where_broadcasts_all_three", xp={"where": first(np.logical_not)}),
    "broadcasting reverses": Fault(
        "arrays_are_broadcast_to_a_shape",
        xp={"broadcast_to": then(np.negative), "broadcast_arrays": then(lambda x: tuple(map(np.negative, x)))},
    ),
    "empty arrays become zeros": Fault(
        "empty_axes_broadcast", methods={"add": then(lambda x: x if np.size(x) else np.zeros((1, 3)))}
    ),
    "shapes are cut to what fits": Fault(
        "shapes_that_do_not_broadcast_are_refused", methods={"add": cut, "multiply": cut}
    ),
    "named axes are put in the wrong place": Fault(
        "named_axes_broadcast_by_name",
        library={(coordinatewise, "align_sum"): lambda f: lambda a, b, what: f(b, a, what)},
    ),
    # reshape
    "reshape in column-major order": Fault(
        "reshape_keeps_row_major_order reshape_does_not_see_memory one_size_follows_from_the_others",
        xp={"reshape": instead(lambda x, shape, **k: np.reshape(x, shape, order="F"))},
        methods={"reshape": instead(lambda x, shape: np.reshape(x, tuple(shape), order="F"))},
    ),
    "reshape reads memory": Fault(
        "reshape_does_not_see_memory",
        methods={"reshape": instead(lambda x, shape: np.ravel(x, order="K").reshape(shape))},
    ),
    "transposition is forgotten": Fault(
        "axes_are_permuted",
        xp={"permute_dims": instead(lambda x, axes: x.reshape([x.shape[n] for n in axes]))},
    ),
    "new axes come last": Fault(
        "axes_of_size_one_come_and_go", xp={"expand_dims": instead(lambda x, axis: np.asarray(x)[..., None])}
    ),
    "flip reverses everything": Fault("flip_reverses", xp={"flip": ignoring("axis")}),
    "roll goes the other way": Fault(
        "roll_goes_around", xp={"roll": lambda f: lambda x, shift, **k: f(x, -shift, **k)}
    ),
    "joined in the wrong order": Fault(
        "arrays_are_joined gradients_pass_through_views",
        xp={"concat": first(lambda x: list(x)[::-1]), "stack": first(lambda x: list(x)[::-1])},
    ),
    "repeat is tile": Fault(
        "repeat_and_tile", xp={"repeat": instead(lambda x, n, axis=None: np.concatenate([x] * n, axis))}
    ),
    "views lose their order": Fault(
        "views_compute_like_copies basic_keys_select",
        methods={"get_item": then(lambda x: np.flip(x, -1) if np.ndim(x) else x)},
    ),
    "patterns merge in the other order": Fault(
        "patterns_split_and_merge", library={(tn, "rearrange"): then(lambda t: tn.flip(t, axis=0))}
    ),
    "the triangle lacks its diagonal": Fault("triangles", xp={"tril": lambda f: lambda x, k=0: f(x, k=k - 1)}),
    # promotion
    "sums promote to double precision": Fault(
        "signed_integers_promote signed_and_unsigned_integers_promote floats_promote half_precision_promotes "
        "numbers_take_the_arrays_data_type integers_wrap_around",
        methods={"add": as_float64},
        operators={"add": as_float64},
    ),
    "bfloat16 is float16": Fault(
        "the_two_half_precisions_meet_at_float32",
        methods={"native_dtype": lambda f: lambda of: np.dtype("float16") if of is tn.bfloat16 else f(of)},
    ),
    "mixed kinds promote": Fault(
        "mixed_kinds_are_refused errors_are_one_family", methods={"promoted": instead(lambda a, b: (a, b))}
    ),
    "numbers promote as they like": Fault(
        "floats_beside_integers_are_refused", library={(coordinatewise, "check_scalar"): instead(lambda *a: None)}
    ),
    "small integers saturate": Fault(
        "integers_wrap_around",
        methods={"add": lambda f: lambda a, b: np.maximum(f(a, b), a) if a.dtype.kind == "i" else f(a, b)},
    ),
    "arrays arrive in single precision": Fault(
        "double_precision_is_kept moving_keeps_every_bit there_and_back_again data_types_survive_the_way_in",
        methods={"import_array": then(lambda x: x.astype("float32") if x.dtype == F64 else x)},
    ),
    "sums stay in the array's data type": Fault(
        "sums_of_small_integers_do_not_overflow",
        xp={"sum": lambda f: lambda x, **k: f(x, **k).astype(x.dtype)},
    ),
    "casts of fractions round": Fault(
        "casts_round_to_nearest",
        xp={"astype": lambda f: lambda x, of, **k: f(np.rint(x), of, **k)},
        kernels={"cast": first(lambda x: np.rint(x) if x.dtype.kind == "f" else x)},
    ),
    "assignment truncates": Fault(
        "assignment_keeps_all_of_the_value a_refused_assignment_changes_nothing",
        library={
            (indexing, "check_assignable"): instead(lambda *a: None),
        },
    ),
    "the next number is the one after": Fault(
        "formats_have_their_limits", xp={"nextafter": lambda f: lambda x, y: f(f(x, y), y)}
    ),
    # indexing
    "assignment reaches too far": Fault(
        "basic_keys_assign a_number_is_assigned_everywhere masks_assign", methods={"set_item": then(lambda x: x + 1)}
    ),
    "masks select what is false": Fault(
        "masks_select",
        methods={
            "get_item": lambda f: lambda x, key: f(x, ~key if getattr(key, "dtype", None) == np.dtype("bool") else key)
        },
    ),
    "gathering clips negative positions": Fault(
        "integer_arrays_gather a_scalar_tensor_is_a_position",
        methods={"get_item": lambda f: lambda x, key: f(x, _clipped(key))},
    ),
    "take reverses": Fault("take_gathers_along_an_axis", xp={"take": then(off), "take_along_axis": then(off)}),
    "positions are clamped": Fault(
        "positions_out_of_range_are_index_errors",
        methods={"get_item": lambda f: lambda x, key: _or(lambda: f(x, key), IndexError, x)},
    ),
    "copies share memory": Fault(
        "a_copy_keeps_its_numbers copies_are_made_on_request",
        methods={"copy": instead(lambda x: x), "asarray": lambda f: lambda x, of, device, copy: f(x, of, device, None)},
    ),
    "nonzero counts from one": Fault(
        "nonzero_finds_what_a_mask_selects", xp={"nonzero": then(lambda found: tuple(x + 1 for x in found))}
    ),
    "slices keep the index": Fault(
        "part_of_a_space_is_a_plain_axis", library={(indexing, "plain"): instead(lambda name: P_INDEX)}
    ),
    # reductions
    "sums go over the wrong axes": Fault(
        "sums_go_over_axes kept_axes_have_size_one reductions_of_nothing_are_neutral", xp={"sum": ignoring("axis")}
    ),
    "products go over all axes": Fault(
        "products_go_over_axes reductions_of_nothing_are_neutral", xp={"prod": ignoring("axis")}
    ),
    "maxima are rounded": Fault("extremes_are_elements", xp={"max": single, "min": single}),
    "the correction is ignored": Fault(
        "variances_have_a_correction", xp={"var": ignoring("correction"), "std": ignoring("correction")}
    ),
    "axes are dropped always": Fault("kept_axes_have_size_one", xp={"mean": ignoring("keepdims")}),
    "reductions of nothing are NaN": Fault(
        "reductions_of_nothing_are_neutral",
        xp={"sum": lambda f: lambda x, **k: f(x, **k) if np.size(x) else f(x, **k) * np.nan},
    ),
    "NaN is skipped": Fault(
        "nan_is_never_lost",
        xp={"max": instead(lambda x, axis=None, keepdims=False: np.nanmax(x, axis=axis, keepdims=keepdims))},
    ),
    "all is any": Fault("all_and_any", xp={"all": instead(lambda x, **k: np.any(x, **k))}),
    "cumulative sums have no start": Fault(
        "cumulative_sums_begin_where_they_are_told", xp={"cumulative_sum": ignoring("include_initial")}
    ),
    "differences are taken once": Fault("differences_of_neighbours", xp={"diff": ignoring("n")}),
    "sums are added one by one": Fault(
        "long_sums_stay_accurate", xp={"sum": instead(lambda x, **k: np.cumsum(np.ravel(x), dtype=x.dtype)[-1])}
    ),
    "zeros are counted": Fault("nonzero_elements_are_counted", xp={"count_nonzero": first(lambda x: x == 0)}),
    # ordering
    "descending has no effect": Fault(
        "sort_orders_an_axis argsort_is_a_permutation_that_sorts",
        xp={"sort": ignoring("descending"), "argsort": ignoring("descending")},
    ),
    "descending reverses equal elements": Fault(
        "sorting_is_stable",
        xp={
            "argsort": instead(
                lambda x, descending=False, **k: (lambda o: o[..., ::-1] if descending else o)(
                    np.argsort(x, kind="stable")
                )
            )
        },
    ),
    "the last of equal extremes": Fault(
        "the_first_of_equal_extremes_counts",
        xp={
            "argmax": instead(
                lambda x, axis=None, **k: (
                    x.size - 1 - np.argmax(np.ravel(x)[::-1])
                    if axis is None
                    else x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis)
                )
            )
        },
    ),
    "searching is always on the left": Fault("places_are_found_on_either_side", xp={"searchsorted": ignoring("side")}),
    "unique values miss one": Fault(
        "every_value_once", xp={"unique_values": then(lambda x: x[:-1] if x.size > 1 else x + 1)}
    ),
    "inverse places are shifted": Fault(
        "unique_values_know_where_they_were",
        xp={
            "unique_inverse": then(lambda x: x._replace(inverse_indices=x.inverse_indices * 0)),
            "unique_counts": then(lambda x: x._replace(counts=x.counts + 1)),
        },
    ),
    "places of unique values are the last": Fault(
        "unique_values_know_their_first_places", xp={"unique_all": then(lambda x: x._replace(indices=x.indices + 1))}
    ),
    "membership is not inverted": Fault("membership", xp={"isin": ignoring("invert")}),
    "NaN equals NaN": Fault("every_nan_is_unique", xp={"unique_values": instead(np.unique)}),
    "minimum is the first operand": Fault("clip_stays_between_its_limits", xp={"minimum": instead(lambda a, b: a)}),
    # linear algebra
    "matrix products in single precision": Fault(
        "matrices_in_stacks_are_multiplied vectors_are_multiplied gradients_of_products",
        xp={"matmul": single},
        methods={"matmul": single},
    ),
    "integer products in floating point": Fault(
        "integer_matrices_are_multiplied_exactly",
        methods={"matmul": lambda f: lambda a, b: f(a.astype(F64), b.astype(F64)).astype(a.dtype)},
    ),
    "tensordot takes the first axes": Fault("tensordot_sums_over_named_axes", xp={"tensordot": then(off)}),
    "vecdot conjugates nothing": Fault("vecdot_conjugates_the_first", xp={"vecdot": first(np.conj)}),
    "solutions are not quite right": Fault(
        "systems_are_solved", xp={"linalg.solve": then(off), "linalg.inv": then(off)}
    ),
    "determinants lose their sign": Fault("determinants", xp={"linalg.det": then(np.abs)}),
    "R is not triangular": Fault("qr_is_orthonormal_times_triangular", xp={"linalg.qr": then(off)}),
    "singular values ascend": Fault(
        "svd_multiplies_to_the_matrix", xp={"linalg.svd": then(lambda x: x._replace(S=x.S[..., ::-1]))}
    ),
    "eigenvectors are rows": Fault(
        "eigenvectors_of_symmetric_matrices",
        xp={"linalg.eigh": then(lambda x: x._replace(eigenvectors=x.eigenvectors.mT))},
    ),
    "Cholesky factors are always lower": Fault("cholesky_is_triangular", xp={"linalg.cholesky": ignoring("upper")}),
    "every norm is Euclidean": Fault("norms", xp={"linalg.vector_norm": ignoring("ord")}),
    "the cross product turns left": Fault("small_products", xp={"linalg.cross": then(np.negative)}),
    "matrices of wrong shapes are cut": Fault(
        "shapes_that_do_not_multiply_are_refused",
        methods={"matmul": lambda f: lambda a, b: _or(lambda: f(a, b), ValueError, a)},
    ),
    "the inverse transform is not divided": Fault(
        "fourier_transforms", xp={"fft.ifft": then(lambda x: x * x.shape[-1])}
    ),
    "eigenvalues are real": Fault("eigenvalues_of_a_map", methods={"eigvals": then(lambda x: x.real.astype(complex))}),
    # contraction
    "contractions are not quite right": Fault(
        "einsum_is_numpys up_and_down_of_one_name_contract other_names_make_the_tensor_product "
        "networks_do_not_depend_on_the_order maps_are_composed plain_names_align tensors_are_multilinear_maps",
        kernels=dict.fromkeys(PRODUCTS, then(off)),
    ),
    "traces are sums": Fault(
        "repeated_letters_are_diagonals an_index_up_and_down_is_a_trace", methods={"reduce_axes": then(off)}
    ),
    "contractions in single precision": Fault("contraction_promotes", kernels=dict.fromkeys(PRODUCTS, single)),
    "sizes of symbols are not compared": Fault("sizes_of_one_index_agree", library=methods_of_tensors("__mul__")),
    "einsum refuses nothing": Fault(
        "an_index_contracts_in_pairs booleans_are_not_contracted mistakes_in_a_notation_are_shown",
        library=functions("einsum"),
    ),
    "fused indices are reversed": Fault(
        "fusing_is_undone_by_splitting", methods={"reshape": then(lambda x: np.ravel(x)[::-1].reshape(x.shape))}
    ),
    # variance
    "products refuse nothing": Fault(
        "two_ups_do_not_contract identity_is_nominal modes_do_not_mix", library=methods_of_tensors("__mul__")
    ),
    "traces refuse nothing": Fault("a_form_has_no_trace", library=methods_of_tensors("trace")),
    "sums refuse nothing": Fault("different_variances_do_not_add", library=methods_of_tensors("__add__")),
    "metrics are not quite right": Fault(
        "lowering_contracts_with_the_metric raising_undoes_lowering metrics_may_be_indefinite positions_are_declared "
        "levi_civita_is_a_tensor hodge_twice_is_a_sign singular_values_do_not_depend_on_the_basis "
        "contractions_do_not_depend_on_the_basis",
        methods={"constant": then(off)},
    ),
    "metrics are conjugated": Fault("complex_metrics_are_hermitian", xp={"conj": instead(lambda x: x)}),
    "sums do not transpose": Fault(
        "sums_align_by_name permuting_keeps_variance parts_add_to_the_tensor",
        kernels={"transpose": instead(lambda x, axes: x.reshape([x.shape[n] for n in axes]))},
    ),
    "every basis is privileged": Fault("coordinates_need_a_privileged_basis", library=functions("exp", "relu", "sum")),
    "where takes its last argument": Fault(
        "coordinates_work_in_a_privileged_basis softmax_is_a_distribution", xp={"where": instead(lambda c, a, b: b)}
    ),
    # random
    "exclusive or of words is or": Fault(
        "bits_are_the_same_everywhere keys_are_split uniform_numbers_stay_in_their_interval normal_numbers_are_normal "
        "integers_stay_in_their_range permutations_have_every_entry_once choices_respect_weights",
        operators={"bitwise_xor": instead(np.bitwise_or)},
    ),
    "the generator has a state": Fault(
        "a_key_has_no_state", operators={"bitwise_xor": lambda f: lambda a, b: f(f(a, b), a.dtype.type(next(STATE)))}
    ),
    "anything is a key": Fault("only_keys_are_keys", library={(tn.random, "bits"): lenient}),
    # gradients
    "gradients are half of what they are": Fault(
        "gradients_of_elementary_functions gradients_of_products gradients_pass_through_views "
        "a_gradient_has_the_opposite_variance the_value_comes_with_the_gradient "
        "holomorphic_functions_have_their_derivative",
        methods={"vjp": pulled(lambda g: g / 2)},
    ),
    "complex gradients are conjugated": Fault(
        "real_functions_of_complex_numbers holomorphic_functions_have_their_derivative",
        methods={"vjp": pulled(np.conj)},
    ),
    "every complex function is holomorphic": Fault(
        "other_complex_functions_are_refused",
        methods={"vjp": pulled(np.zeros_like)},
    ),
    "gradients refuse nothing": Fault(
        "gradients_are_those_of_scalars",
        library={(tn, "grad"): lambda f: lambda *a: lenient(f(*a))},
    ),
    # devices
    "the device has another name": Fault(
        "a_tensor_knows_its_device results_stay_on_the_device", methods={"device": then(lambda name: "cuda:7")}
    ),
    "unknown devices are ignored": Fault("unknown_devices_are_refused", library=methods_of_tensors("to_device")),
    "mixing is another error": Fault(
        "backends_do_not_mix",
        library={(tn.Tensor, "__add__"): lenient},
    ),
    "unknown backends are not told": Fault("unknown_backends_are_refused", library={(tn, "namespace"): lenient}),
    "DLPack reverses": Fault(
        "dlpack_exchanges_arrays", methods={"from_dlpack": then(np.negative), "import_array": then(np.negative)}
    ),
    "pickles lose the last element": Fault("pickles_come_back_whole", methods={"freeze": then(np.negative)}),
    "arrays are made of ones": Fault("arrays_are_made_as_asked", xp={"zeros": then(lambda x: x + 1)}),
    # errors
    "labels are dropped": Fault(
        "labels_are_not_dropped", library={(tn.Tensor, "__array__"): instead(lambda t, *a, **k: np.asarray(t.array))}
    ),
    "errors are the framework's": Fault(
        "ragged_data_are_refused",
        methods={
            "asarray": instead(lambda data, *a: np.array(data, dtype=object if isinstance(data, (list, str)) else None))
        },
        library={(making, "check_literal"): instead(lambda *a: None)},
    ),
    "data types are guessed": Fault(
        "unknown_names_are_told", methods={"native_dtype": lambda f: lambda of: f(of)}, library={(tn, "sum"): lenient}
    ),
    "the first element is the truth": Fault(
        "several_numbers_are_no_number", library={(tn.Tensor, "_one"): instead(lambda t, what: t.array.ravel()[0])}
    ),
    "in-place operators change the form": Fault(
        "in_place_operators_keep_the_form", library={(tn.Tensor, "__iadd__"): instead(operator.add)}
    ),
    "tensors have a hash": Fault("tensors_are_not_hashable", library={(tn.Tensor, "__hash__"): instead(lambda t: 1)}),
    "sizes are not compared with spaces": Fault("sizes_have_to_fit_their_space", library={(tn, "tensor"): lenient}),
}


def _clipped(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_clipped, key))
    return np.maximum(key, 0) if isinstance(key, np.ndarray) and key.dtype.kind == "i" else key


def _or(action: Callable[[], Any], error: type[Exception], otherwise: Any) -> Any:
    try:
        return action()
    except error:
        return otherwise
