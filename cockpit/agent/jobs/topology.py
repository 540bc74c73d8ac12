"""Which GPUs of those that are free belong together, and how to say why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cockpit.model import BoxInfo

SAME_SWITCH = ("PIX", "PXB")
"""Paths of `nvidia-smi topo -m` that stay below one PCIe root."""
HEAT_STEP_C = 5.0
"""Cards that differ by less are equally cool: a job must not wander because a sensor flickers."""

Group = frozenset[int]


@dataclass(frozen=True)
class Topology:
    """The GPUs of a box by index, grouped by what joins them, the fastest path first."""

    islands: tuple[Group, ...] = ()
    """Joined by NVLink, directly or through others."""
    nodes: tuple[Group, ...] = ()
    """On one NUMA node."""
    switches: tuple[Group, ...] = ()
    """Below one PCIe root."""
    node_of: Mapping[int, int] | None = None
    """NUMA node of each GPU that has told one."""

    def choose(
        self, free: Collection[int], count: int, heat_c: Mapping[int, float | None] | None = None
    ) -> tuple[int, ...]:
        """`count` of the `free` GPUs, in index order; there must be so many.

        One NVLink island if any has room, then one NUMA node, then one PCIe root; always the
        tightest that holds them, so that whole islands stay whole for those who need them. Then
        the coolest, then the lowest index.
        """
        heat = {index: _step((heat_c or {}).get(index)) for index in free}
        pool = self._narrowed(frozenset(free), count, heat)
        return tuple(sorted(self._filled(pool, count, heat)))

    def _narrowed(self, free: Group, count: int, heat: Mapping[int, float]) -> Group:
        """The smallest groups with room, one level inside of the other."""
        found: list[tuple[tuple[int, ...], Group]] = [((), free)]
        for groups in (self.islands, self.nodes, self.switches):
            inner = []
            for sizes, pool in found:
                fitting = [group for group in groups if len(group & pool) >= count]
                inner += [((*sizes, len(group & free)), group & pool) for group in fitting]
                if not fitting:
                    inner.append(((*sizes, len(pool)), pool))
            found = inner
        return min(found, key=lambda each: (each[0], _coolest(each[1], count, heat)))[1]

    def _filled(self, pool: Group, count: int, heat: Mapping[int, float]) -> list[int]:
        """Whole islands while they fit, the rest from the one that is broken least."""
        chosen: list[int] = []
        left = [group & pool for group in self.islands if group & pool]
        while len(chosen) < count:
            need = count - len(chosen)
            whole = [group for group in left if len(group) <= need]
            group = min(
                whole or left,
                key=lambda each: (
                    -len(each) if whole else len(each),
                    self._distance(each, chosen),
                    _coolest(each, need, heat),
                ),
            )
            left.remove(group)
            chosen += sorted(group, key=lambda index: (heat[index], index))[:need]
        return chosen

    def _distance(self, group: Group, chosen: Sequence[int]) -> int:
        """0 below the same PCIe root as what was chosen before, 1 on its NUMA node, else 2."""
        if not chosen:
            return 0
        for distance, groups in enumerate((self.switches, self.nodes)):
            if any(chosen[0] in each and group <= each for each in groups):
                return distance
        return 2

    def why(self, indices: Sequence[int], free: Collection[int]) -> str:
        """What joins the chosen GPUs, in words; `free` are those there were to choose from."""
        taken = frozenset(indices)
        islands = [group for group in self.islands if group & taken]
        node = self._node_words(indices)
        if len(indices) == 1:
            partners = sorted(islands[0] - taken) if islands else []
            if len(partners) == 1 and partners[0] not in free:
                return f"{node or 'chosen'}, beside GPU {partners[0]} which is busy: no free pair was broken"
            return node or "the first that was free"
        if len(islands) == 1:
            kind = "pair" if len(islands[0]) == 2 else "island"
            return " ".join(filter(None, (f"an NVLink {kind}", node)))
        if all(len(group) == 1 for group in islands):
            joined = "joined by PCIe" if self.switches else ""
            return ", ".join(filter(None, (node, joined))) or "the first that were free"
        pairs = all(len(group) == 2 and group <= taken for group in islands)
        kind = f"{len(islands)} NVLink {'pairs' if pairs else 'islands'}"
        return " ".join(filter(None, (kind, node)))

    def _node_words(self, indices: Sequence[int]) -> str:
        nodes = (
            sorted({self.node_of[i] for i in indices if i in self.node_of}) if self.node_of else []
        )
        if not nodes:
            return ""
        if len(nodes) == 1:
            return f"on NUMA node {nodes[0]}"
        return f"across NUMA nodes {listed(nodes)}"


def topology(box: BoxInfo) -> Topology:
    """The groups of a box's GPUs, from what the driver says of its links."""
    everyone = [info.index for info in box.gpus]
    peers = {info.index: info.nvlink_peers for info in box.gpus}
    nodes: dict[int | None, set[int]] = {}
    for info in box.gpus:
        nodes.setdefault(info.numa_node, set()).add(info.index)
    near = {
        one: [
            other
            for other in everyone
            if one < len(box.topology)
            and other < len(box.topology[one])
            and box.topology[one][other] in SAME_SWITCH
        ]
        for one in everyone
    }
    return Topology(
        islands=_joined(everyone, peers),
        nodes=tuple(frozenset(group) for group in nodes.values()),
        switches=_joined(everyone, near) if box.topology else (),
        node_of={info.index: info.numa_node for info in box.gpus if info.numa_node is not None},
    )


def _joined(everyone: Sequence[int], links: Mapping[int, Sequence[int]]) -> tuple[Group, ...]:
    """The connected components."""
    group_of = {index: {index} for index in everyone}
    for one in everyone:
        for other in links.get(one, ()):
            if other in group_of and group_of[other] is not group_of[one]:
                group_of[one] |= group_of[other]
                for each in group_of[one]:
                    group_of[each] = group_of[one]
    return tuple(dict.fromkeys(frozenset(group_of[index]) for index in everyone))


def _step(heat_c: float | None) -> float:
    return 0.0 if heat_c is None else heat_c // HEAT_STEP_C


def _coolest(group: Group, count: int, heat: Mapping[int, float]) -> tuple[tuple[float, int], ...]:
    """The coolest `count` of a group: by this two groups of the same size are told apart."""
    return tuple(sorted((heat[index], index) for index in group)[:count])


def listed(numbers: Sequence[int]) -> str:
    """`3`, `4 and 5`, `0, 1 and 2`."""
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
