"""The claim protocol, in every order of events: see `claim_model`."""

from __future__ import annotations

import pytest

from model.claim_model import ALL, Rules, explore


@pytest.mark.slow
def test_no_order_of_events_breaks_the_protocol() -> None:
    """An operator with one wish, and a kill at every possible moment; main() looks further."""
    result = explore(Rules(), wishes=1, kills=1)
    assert result.broken is None, "\n".join(result.path)
    print(f"{result.states} states, {result.steps} steps, nothing broken")
    assert result.states > 20_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left_out", "wishes", "kills", "active", "broken"),
    [
        (["released_protect_nobody"], 2, 0, ALL, "invariant 1"),
        (["checked_again_in_claim"], 2, 0, ALL, "invariant 1"),
        (["claimed_count_for_nobody"], 2, 0, (0, 1, 3), "invariant 1"),
        (["record_after_unlink"], 2, 0, ALL, "invariant 8"),
        (["no_verdict_on_claimed"], 2, 1, (2,), "invariant 8"),
        (["no_verdict_on_claimed", "evidence_outlives_the_state"], 3, 0, (0, 2), "invariant 1"),
    ],
)
def test_the_model_notices_if_a_rule_is_left_out(
    left_out: list[str], wishes: int, kills: int, active: tuple[int, ...], broken: str
) -> None:
    """Each rule is needed: without it there is a way to break an invariant, and it is found."""
    result = explore(Rules(**dict.fromkeys(left_out, False)), wishes, kills, active)
    assert result.broken is not None
    assert result.broken.startswith(broken), "\n".join([*result.path, result.broken])
