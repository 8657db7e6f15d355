"""Which hosts a server may go to, and, when none is left, why: which rule removed which, and what would fit.

SQL finds candidates by the same rules (`db/placement.py`); these here explain.  A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.compute.core.placement import ResourceClass
from services.compute.core.scheduling import HostView, Wish

Passes = Callable[[HostView, Wish], bool]
Advice = Callable[[Sequence[HostView], Wish], str]

NAMES_SHOWN = 3

# class, how much of it in words
# fmt: off
AMOUNTS = {
    ResourceClass.VCPU:      ("vCPUs",  "{} vCPUs"),
    ResourceClass.PCPU:      ("dedicated processors", "{} dedicated processors"),
    ResourceClass.MEMORY_MB: ("memory", "{} MiB of memory"),
    ResourceClass.DISK_GB:   ("disk",   "{} GiB of disk"),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Filter:
    """One rule.  `advice` is the smallest change for hosts which only this rule (or only lack of room) removes."""

    name: str
    removes: str  # "is down": what is wrong with the hosts that it removes
    passes: Passes
    advice: Advice
    is_room: bool = False


def _is_up(host: HostView, wish: Wish) -> bool:
    return host.is_up


def _is_enabled(host: HostView, wish: Wish) -> bool:
    return not host.is_disabled


def _in_zone(host: HostView, wish: Wish) -> bool:
    return wish.zone in (None, host.zone)


def _is_asked_for(host: HostView, wish: Wish) -> bool:
    return wish.host in (None, host.name)


def _has_not_failed(host: HostView, wish: Wish) -> bool:
    return host.name not in wish.failed_hosts


def _has_traits(host: HostView, wish: Wish) -> bool:
    return wish.required_traits <= host.traits and not wish.forbidden_traits & host.traits


def _beside(host: HostView, wish: Wish) -> bool:
    return wish.beside is None or host.name in wish.beside


def _apart(host: HostView, wish: Wish) -> bool:
    return host.name not in wish.apart


def _with_its_group(host: HostView, wish: Wish) -> bool:
    return wish.with_group is None or host.name in wish.with_group


def _apart_from_its_group(host: HostView, wish: Wish) -> bool:
    return host.name not in wish.group_full


def _has_what_the_flavor_asks(host: HostView, wish: Wish) -> bool:
    return wish.for_flavor is None or host.name in wish.for_flavor


def _is_for_the_project(host: HostView, wish: Wish) -> bool:
    return host.name not in wish.for_others


def _is_for_the_image(host: HostView, wish: Wish) -> bool:
    return host.name not in wish.for_other_images


def _has_the_hardware(host: HostView, wish: Wish) -> bool:
    return wish.for_properties is None or host.name in wish.for_properties


def _has_the_cells(host: HostView, wish: Wish) -> bool:
    return host.name not in wish.without_cells


def _other_cells(hosts: Sequence[HostView], wish: Wish) -> str:
    name = hosts[0].name
    return f"choose a flavor or image that asks for less: host {name} {wish.without_cells[name]}"


def _has_the_groups(host: HostView, wish: Wish) -> bool:
    return wish.for_groups is None or host.name in wish.for_groups


def _others_of(wish: Wish) -> dict[str, int]:
    """What is asked for besides what every host has."""
    return {name: amount for name, amount in wish.resources.items() if name not in AMOUNTS}


def _has_the_rest(host: HostView, wish: Wish) -> bool:
    return all(host.fits(name, amount) for name, amount in _others_of(wish).items())


def _less_of_the_rest(hosts: Sequence[HostView], wish: Wish) -> str:
    short = [f"{host.most(name)} of {name}" for host in hosts[:1] for name, amount in _others_of(wish).items()
             if not host.fits(name, amount)]  # fmt: skip
    return f"choose a flavor that asks for at most {' and '.join(short)}, which host {hosts[0].name} has left"


def _has_room(resource: ResourceClass) -> Passes:
    return lambda host, wish: host.fits(resource, wish.resources.get(resource, 0))


def _start_it(hosts: Sequence[HostView], wish: Wish) -> str:
    return f"bring host {hosts[0].name} up again"


def _enable_it(hosts: Sequence[HostView], wish: Wish) -> str:
    reason = f" (it was disabled with the reason '{hosts[0].disabled_reason}')" if hosts[0].disabled_reason else ""
    return f"enable host {hosts[0].name}{reason}"


def _other_zone(hosts: Sequence[HostView], wish: Wish) -> str:
    return f"ask for zone '{hosts[0].zone}' instead of '{wish.zone}'"


def _other_host(hosts: Sequence[HostView], wish: Wish) -> str:
    return f"ask for host {hosts[0].name} instead of {wish.host}"


def _repair_it(hosts: Sequence[HostView], wish: Wish) -> str:
    return f"find out why host {hosts[0].name} failed, and try again"


def _fewer_traits(hosts: Sequence[HostView], wish: Wish) -> str:
    lacking = sorted(wish.required_traits - hosts[0].traits)
    needless = sorted(wish.forbidden_traits & hosts[0].traits)
    what = [f"without requiring {name}" for name in lacking] + [f"without forbidding {name}" for name in needless]
    return f"choose a flavor or image {' and '.join(what)}"


def _no_hint(name: str) -> Advice:
    return lambda hosts, wish: f"leave out the hint '{name}'"


def _advise(what: str) -> Advice:
    return lambda hosts, wish: what


def _smaller_flavor(hosts: Sequence[HostView], wish: Wish) -> str:
    """For the host that comes closest: the least is lacking, as a part of what is asked."""
    best = min(hosts, key=lambda host: sum(_lack(host, wish).values()))
    if ResourceClass.PCPU in wish.resources and not any(ResourceClass.PCPU in host.stock for host in hosts):
        return "choose a flavor or image that shares processors (hw:cpu_policy), or set cpu_dedicated_set for an agent"
    short = [resource for resource, lack in _lack(best, wish).items() if lack]
    if ResourceClass.PCPU in short and not best.most(ResourceClass.PCPU):
        return (
            "choose a flavor or image that shares processors (hw:cpu_policy), or wait for a guest to give its own back"
        )
    if not short and not _has_the_rest(best, wish):
        return _less_of_the_rest([best], wish)
    if not short:  # a host's rule of how much one may have at once
        return "choose a flavor that asks for other amounts"
    has = [f"{best.most(one)} of the {AMOUNTS[one][1].format(wish.resources[one])} asked for" for one in short]
    most = [AMOUNTS[one][1].format(best.most(one)) for one in short]
    return f"host {best.name} comes closest with {' and '.join(has)}: choose a flavor with at most {' and '.join(most)}"


def _lack(host: HostView, wish: Wish) -> dict[ResourceClass, float]:
    asked = {one: wish.resources[one] for one in AMOUNTS if one in wish.resources}
    return {one: max(0, wanted - host.most(one)) / wanted for one, wanted in asked.items()}


def _room(resource: ResourceClass) -> Filter:
    return Filter(
        f"{resource}Filter",
        f"without enough {AMOUNTS[resource][0]}",
        _has_room(resource),
        _smaller_flavor,
        is_room=True,
    )


# fmt: off
FILTERS: tuple[Filter, ...] = (
    Filter("ComputeFilter",          "down",                         _is_up,          _start_it),
    Filter("EnabledFilter",          "disabled",                     _is_enabled,     _enable_it),
    Filter("AvailabilityZoneFilter", "in other zones",               _in_zone,        _other_zone),
    Filter("RequestedHostFilter",    "not the one asked for",        _is_asked_for,   _other_host),
    Filter("RetryFilter",            "failed when they were tried",  _has_not_failed, _repair_it),
    Filter("SameHostFilter",         "without the servers in the hint 'same_host'", _beside, _no_hint("same_host")),
    Filter("DifferentHostFilter",    "with servers in the hint 'different_host'",   _apart,  _no_hint("different_host")),
    Filter("ServerGroupAffinityFilter",     "without the other servers of its group", _with_its_group,
           _advise("leave out the hint 'group', or choose a group with a soft policy")),
    Filter("ServerGroupAntiAffinityFilter", "full of its group's servers",            _apart_from_its_group,
           _advise("leave out the hint 'group', or choose a group with a soft policy")),
    Filter("AggregateInstanceExtraSpecsFilter", "in no aggregate as the flavor asks for", _has_what_the_flavor_asks,
           _advise("choose a flavor that asks for no aggregate")),
    Filter("AggregateMultiTenancyIsolation",    "kept for other projects",                _is_for_the_project,
           _advise("ask an administrator to open an aggregate to the project")),
    Filter("AggregateImagePropertiesIsolation", "kept for other images",                  _is_for_the_image,
           _advise("choose an image without the properties that aggregates keep apart")),
    Filter("ImagePropertiesFilter",  "of another architecture or kind than the image is for", _has_the_hardware,
           _advise("choose an image for the hosts that there are")),
    Filter("NUMATopologyFilter", "without the NUMA cells, processors or memory pages asked for", _has_the_cells, _other_cells),
    Filter("GroupsFilter", "without providers for the flavor's groups of resources and traits", _has_the_groups,
           _advise("choose a flavor whose groups ask for less, or give a host providers that have it")),
    Filter("TraitsFilter",           "without the right traits",     _has_traits,     _fewer_traits),
    _room(ResourceClass.MEMORY_MB),
    _room(ResourceClass.VCPU),
    _room(ResourceClass.PCPU),
    _room(ResourceClass.DISK_GB),
    Filter("ResourcesFilter", "without enough of the other resources asked for", _has_the_rest, _less_of_the_rest,
           is_room=True),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why no host was left: `removed` maps a filter to the hosts that it took from those before it had left."""

    total: int
    removed: tuple[tuple[Filter, tuple[str, ...]], ...]
    advice: str

    @property
    def message(self) -> str:
        """For whoever asked: all of it in a few sentences."""
        if not self.total:
            return f"No valid host was found. There are no hosts yet: {self.advice}."
        told = "; ".join(f"{rule.name} removed {_named(hosts)} ({rule.removes})" for rule, hosts in self.removed)
        hosts = "1 host" if self.total == 1 else f"{self.total} hosts"
        return f"No valid host was found. Of {hosts}, {told}. To make it fit, {self.advice}."

    @property
    def has_down(self) -> bool:
        """Whether there are hosts that don't answer now."""
        return any(rule.passes is _is_up for rule, _ in self.removed)


def passing(hosts: Sequence[HostView], wish: Wish) -> list[HostView]:
    return [host for host in hosts if all(rule.passes(host, wish) for rule in FILTERS)]


def explain(hosts: Sequence[HostView], wish: Wish) -> Explanation:
    """The rules one after another, and the smallest change that would let a host pass."""
    left, removed = list(hosts), []
    for rule in FILTERS:
        passed = [host for host in left if rule.passes(host, wish)]
        if len(passed) < len(left):
            stays = {host.name for host in passed}
            removed.append((rule, tuple(host.name for host in left if host.name not in stays)))
            left = passed
    return Explanation(len(hosts), tuple(removed), _advice(hosts, wish))


def _advice(hosts: Sequence[HostView], wish: Wish) -> str:
    if not hosts:
        return "start an agent on one"
    rooms = [rule for rule in FILTERS if rule.is_room]
    for without in ([rooms] if rooms else []) + [[rule] for rule in FILTERS if not rule.is_room]:
        others = [rule for rule in FILTERS if rule not in without]
        near = [host for host in hosts if all(rule.passes(host, wish) for rule in others)]
        if near:
            return without[0].advice(near, wish)
    return "more than one of these has to change"


def _named(hosts: Sequence[str]) -> str:
    shown, more = ", ".join(hosts[:NAMES_SHOWN]), len(hosts) - NAMES_SHOWN
    return f"{len(hosts)}: {shown}" + (f" and {more} more" if more > 0 else "")
