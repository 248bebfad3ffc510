"""Operations that a backend has no row for become what they are defined as."""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from typing import Any

import numpy as np

from tensoria.programs import recorder
from tensoria.programs.base import P
from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.types import Instruction, Operand, Value, within

__all__ = ["apply_definitions"]


def apply_definitions(program: P, known: Container[str]) -> P:
    """The program without the operations that have a definition and are not among the known ones."""
    # (imported here, so that either floor may be imported first: symbolic arrays have derivatives, which use passes)
    from tensoria.programs.symbolic import backend as symbolic

    constants: dict[Value, np.ndarray[Any, Any]] = {}

    def rewrite(builder: Builder, made: Instruction) -> tuple[Operand, ...] | None:
        if made.operation in known or made.operation not in DEFINITIONS:
            return None
        replaced.append(made.operation)
        record = Recorder()
        operands = [SymbolicArray(operand, record) for operand in made.operands]
        with recorder.recording(record), record.sourced(made.source):
            results = DEFINITIONS[made.operation](symbolic, *operands, **made.attributes)
        for inner in record.instructions:
            for value in (*inner.results, *within(inner)):
                value.name = builder.fresh()
            builder.instructions.append(inner)
        for value in record.constants:
            value.name = builder.fresh()
        constants.update(record.constants)
        return tuple(x.operand for x in (results if isinstance(results, tuple) else (results,)))

    replaced = [""]
    while replaced:  # a definition may use operations that have one
        replaced.clear()
        program = rewritten(program, rewrite)
    return dataclasses.replace(program, arrays={**program.arrays, **constants}) if constants else program
