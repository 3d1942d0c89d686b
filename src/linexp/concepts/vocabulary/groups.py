"""Groups of classes (superclasses): which classes are inside each, groups inside groups included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from linexp._internal.checks import closest

Member: TypeAlias = "str | int"
Group: TypeAlias = "Sequence[Member] | Mapping[str, Any]"
"""Members of a group: class names, class numbers, names of other groups; or further groups inside this one."""


_TOO_DEEP = "Groups are inside groups too many times over to be followed. Name the classes of the inner ones directly."


def resolve_groups(groups: Mapping[str, Group], classes: Sequence[str]) -> dict[str, list[int]]:
    """Return the class numbers inside each group, outer groups before inner ones.

    A member that is the name of a class and of a group stands for both. A group that is no list, has no member or an
    unknown one, contains itself, or is defined in two ways is a ``ValueError``; so are groups hundreds of levels deep.
    """
    try:
        return _Resolver(_collect(groups), classes).resolve()
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def group_names(groups: Mapping[str, Group]) -> tuple[str, ...]:
    """Return the names of all groups, those inside others included; checked, but for members that are not known."""
    try:
        return tuple(_collect(groups))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


class _Resolver:
    """Follows the names of members until only class numbers are left."""

    def __init__(self, members: Mapping[str, Sequence[Member]], classes: Sequence[str]) -> None:
        self.members, self.classes = members, classes
        self.numbers: dict[str, list[int]] = {}
        for number, name in enumerate(classes):
            self.numbers.setdefault(name, []).append(number)
        self.found: dict[str, frozenset[int]] = {}

    def resolve(self) -> dict[str, list[int]]:
        return {name: sorted(self._inside(name, ())) for name in self.members}

    def _inside(self, group: str, path: tuple[str, ...]) -> frozenset[int]:
        if group in path:
            circle = " → ".join([*path[path.index(group) :], group])
            raise ValueError(f"The group '{group}' contains itself ({circle}). Break the circle.")
        if group not in self.found:
            parts = [self._of_member(member, group, path) for member in self.members[group]]
            self.found[group] = frozenset().union(*parts)
        return self.found[group]

    def _of_member(self, member: Member, group: str, path: tuple[str, ...]) -> frozenset[int]:
        if not isinstance(member, str):
            return self._of_number(member, group)
        is_class = member in self.numbers
        found = frozenset(self.numbers.get(member, ()))
        if member in self.members and not (is_class and member == group):
            found |= self._inside(member, (*path, group))
        elif not is_class:
            raise ValueError(
                f"The group '{group}' has the member '{member}', which is neither a class nor a group."
                f"{closest(member, [*self.numbers, *self.members])} Correct the group."
            )
        return found

    def _of_number(self, number: int, group: str) -> frozenset[int]:
        if not 0 <= number < len(self.classes):
            raise ValueError(
                f"The group '{group}' has the class number {number}, but the classes are 0 to "
                f"{len(self.classes) - 1}. Correct the group."
            )
        return frozenset([int(number)])


def _collect(groups: Mapping[str, Group]) -> dict[str, list[Member]]:
    """Return the direct members of every group, also of those inside others."""
    collected: dict[str, list[Member]] = {}
    for name, members in _walk(groups):
        if collected.setdefault(name, members) != members:
            raise ValueError(
                f"The group '{name}' is defined twice, with different members. Give one of the two another name."
            )
    return collected


def _walk(groups: Mapping[str, Any]) -> Iterator[tuple[str, list[Member]]]:
    """Yield every group with its direct members, checked: they may come from a file."""
    for name, members in groups.items():
        if isinstance(members, str) or not isinstance(members, (Sequence, Mapping)):
            raise ValueError(f"The group '{name}' is {members!r}. Give a list of its members.")
        if not members:
            raise ValueError(f"The group '{name}' has no members. Give it some, or leave it out.")
        direct = list(cast("Sequence[Any]", members))
        for member in direct:
            if isinstance(member, bool) or not isinstance(member, (str, int, np.integer)):
                raise ValueError(
                    f"The group '{name}' has the member {member!r}. "
                    "Members are names of classes or groups, or class numbers."
                )
        yield name, direct
        if isinstance(members, Mapping):
            yield from _walk(cast("Mapping[str, Any]", members))
