"""What edits of recorded requests share: what they may look at, and what they return."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from acg_lab.core.rules import RulesName
from acg_lab.repairs.chosen_calls import ChosenCall
from acg_lab.repairs.form_edits import set_value, value_at
from acg_lab.repairs.passages import Passages
from acg_lab.repairs.request_blocks import BlockFinder, FoundBlock
from acg_lab.repairs.request_form import CannotRepairError, RequestForms, RequestPools

__all__ = ["Change", "RequestContext", "copy_block", "find_block"]


class RequestContext(NamedTuple):
    """What an edit may need beyond the request: how blocks are found, all requests that are chosen, and passages."""

    finders: Mapping[RulesName, BlockFinder]
    rules: Mapping[str, RulesName]
    chosen: Sequence[ChosenCall]
    pools: RequestPools
    passages: Mapping[str, Passages]


Change: TypeAlias = Callable[[BlockFinder, ChosenCall, RequestForms], bool]
# A change edits the forms of a request, and returns whether it did; it may raise CannotRepairError.


def find_block(finder: BlockFinder, one: ChosenCall, span_id: str) -> FoundBlock:
    """Return a block of a request.

    Raises
    ------
    CannotRepairError
        If the request has none of that span id.
    """
    found = finder.find(one.call, span_id)
    if found is None:
        raise CannotRepairError
    return found


def copy_block(
    finder: BlockFinder, found: FoundBlock, forms: RequestForms, source: FoundBlock, donor: ChosenCall
) -> bool:
    """Put a content of another request, as it was sent, in the place of a block; whether that changes it."""
    if found.content == source.content:
        return False
    given = RequestForms(finder.runs, donor.call, forms.pools)
    for form, donating in zip(forms.forms, (*given.forms, given.annotated), strict=False):
        value = value_at(donating, source.place, forms.pools)
        set_value(form, found.place, value, forms.pools)
    return True
