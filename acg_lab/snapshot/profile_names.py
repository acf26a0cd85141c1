"""What a profile is called among the others of its agent.

Belongs here: taking learning keys apart, so that no two rows of a table look the same.
"""

from collections.abc import Sequence

from acg_lab.core.keys import parse_learning_key

__all__ = ["differing_parts"]

_PARTS, _ENDS = ("model", "seed", "system", "tools", "response_format"), (4, 8, 16, 64)


def differing_parts(keys: Sequence[str], agent_id: str | None = None, *, has_model: bool = False) -> list[str]:
    """Name each profile of an agent by the ends of the parts of its key that the agent's keys do not share.

    Parameters
    ----------
    keys : sequence of str
        All learning keys of one agent.
    agent_id : str, optional
        Whose they are; as `parse_learning_key` finds it when left out.
    has_model : bool
        Whether the model is told elsewhere.

    Returns
    -------
    list of str
        In the order of ``keys``, as in ``"seed…1fa0 tools…77c2"``, ends as long as it takes for names to differ; empty
        where no part does.
    """
    split = [parse_learning_key(key, agent_id=agent_id) for key in keys]
    values = {part: [str(getattr(parsed, part, None)) for parsed in split] for part in _PARTS[has_model:]}
    telling = {part: found for part, found in values.items() if len(set(found)) > 1}
    names: list[str] = []
    for end in _ENDS:
        names = [" ".join(f"{part}…{found[i][-end:]}" for part, found in telling.items()) for i in range(len(keys))]
        if len(set(names)) == len(names):
            break
    return names
