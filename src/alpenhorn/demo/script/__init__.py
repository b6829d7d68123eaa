"""The walkthrough as data: what is typed, what is printed, and what must come of it.

One module per chapter or two. The wording is ours; commands and outputs are the walkthrough's. Its
second ``meta.txt`` is said to have 52 bytes but has 53, so we have 68, 170 and 185 bytes where it
says 67, 169 and 184 (spec: cli.md, Appendix A).
"""

from alpenhorn.demo.script import (
    auto_actions,
    corruption,
    deletion,
    first_node,
    importing,
    syncing,
    transport,
)

SECTIONS = (
    *first_node.SECTIONS,
    *importing.SECTIONS,
    *syncing.SECTIONS,
    *corruption.SECTIONS,
    *deletion.SECTIONS,
    *auto_actions.SECTIONS,
    *transport.SECTIONS,
)

__all__ = ["SECTIONS"]
