"""Every contract can fail: for each there is a fault of a backend (or of the library) that it notices."""

from __future__ import annotations

import pytest
from broken_backend import copy_of_numpy, registered
from faults import FAULTS, Fault
from tensoria_conformance.contracts import CONTRACTS
from tensoria_conformance.running import contracts

NAMES = [contract.name for contract in contracts()]


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_backend_keeps_every_contract(name: str) -> None:
    with registered(copy_of_numpy()) as sound:
        outcome = CONTRACTS[name].check(sound)
    assert outcome.status != "fails", outcome.message


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault: Fault = FAULTS[name]
    broken = copy_of_numpy(fault.xp, fault.operators, fault.kernels, fault.methods)
    for (owner, attribute), change in fault.library.items():
        monkeypatch.setattr(owner, attribute, change(getattr(owner, attribute)))
    with registered(broken) as backend:
        for contract in fault.contracts:
            outcome = CONTRACTS[contract].check(backend, shrink=False)
            assert outcome.status == "fails", f"{contract} does not notice that {name}"


def test_every_contract_is_broken_by_some_fault() -> None:
    broken = {contract for fault in FAULTS.values() for contract in fault.contracts}
    assert broken == set(NAMES)
