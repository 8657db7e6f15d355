"""Who could give what is asked for: all ways to take groups of resources from trees of providers.

A tree is a root provider with all below it; a provider with the trait MISC_SHARES_VIA_AGGREGATE lends what it has to every
tree that is in one of its aggregates.  The group without a suffix may be spread over a tree, any other comes from one provider.
Rules: Placement API reference, "List allocation candidates"; "Modeling with provider trees".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from uuid import UUID

from services.compute.core.placement import Stock
from services.compute.core.placement_names import SHARES

MOST_WAYS = 200_000  # combinations that one question may have tried: it is asked while others wait
MOST_CANDIDATES = 10_000

Amounts = Mapping[UUID, Mapping[str, int]]
"""Provider -> resource class -> how much of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    id: UUID
    root_id: UUID
    parent_id: UUID | None = None
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[UUID] = frozenset()

    def fits(self, resource: str, amount: int) -> bool:
        return resource in self.stocks and self.stocks[resource].fits(amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What is asked for together.  Each set of `required` and `member_of` wants one of its members."""

    resources: Mapping[str, int] = field(default_factory=dict)
    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()
    member_of: tuple[frozenset[UUID], ...] = ()
    not_member_of: frozenset[UUID] = frozenset()
    in_tree: UUID | None = None  # a provider of the tree that is meant

    def is_satisfied_by(self, traits: Iterable[str]) -> bool:
        found = frozenset(traits)
        return all(any_of & found for any_of in self.required) and not self.forbidden & found

    def is_among(self, provider: Provider) -> bool:
        """Whether the provider itself is in the right aggregates."""
        return all(any_of & provider.aggregates for any_of in self.member_of)

    def is_kept_out(self, provider: Provider) -> bool:
        return bool(self.not_member_of & provider.aggregates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All groups by suffix, and what they have in common."""

    groups: Mapping[str, Group]
    is_isolated: bool = False  # suffixed groups come from a provider each
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    same_subtrees: tuple[frozenset[str], ...] = ()
    limit: int | None = None

    @property
    def resources(self) -> set[str]:
        return {name for group in self.groups.values() for name in group.resources}


@dataclass(frozen=True, slots=True)
class Candidate:
    amounts: Amounts
    mappings: Mapping[str, tuple[UUID, ...]]  # suffix -> who satisfies that group


@dataclass(frozen=True, slots=True)
class _Share:
    """One way to satisfy one group; `anchor` is the root of the tree that it is for."""

    suffix: str
    anchor: UUID
    parts: tuple[tuple[UUID, str, int], ...]
    providers: frozenset[UUID]


class Search:
    """Over providers whose trees are whole, with all that lend to them."""

    def __init__(
        self, providers: Iterable[Provider], question: Question, *, trees: Collection[UUID] | None = None
    ) -> None:
        """`trees`: the roots of those that are to be served, by their own and by who lends to them; None: all."""
        self._trees = trees
        self._all = {one.id: one for one in providers}
        self._question = question
        self.has_trees = any(one.parent_id for one in self._all.values())
        self._lent_to = {one.id: self._borrowers(one) for one in self._all.values() if SHARES in one.traits}
        self._ways = 0

    def candidates(self) -> list[Candidate]:
        """In the order in which the providers were given."""
        shares: dict[UUID, dict[str, list[_Share]]] = defaultdict(lambda: defaultdict(list))
        for suffix, group in self._question.groups.items():
            for share in self._shares(suffix, group):
                shares[share.anchor][suffix].append(share)
        found: dict[object, Candidate] = {}
        for of_tree in shares.values():
            if len(of_tree) < len(self._question.groups):
                continue
            for ways in self._together(list(of_tree.values()), []):
                key, candidate = _merged(ways)
                found.setdefault(key, candidate)
                if len(found) >= (self._question.limit or MOST_CANDIDATES):
                    return list(found.values())
        return list(found.values())

    def trees_of(self, candidates: Iterable[Candidate]) -> list[Provider]:
        """All providers of the trees that candidates take from."""
        roots = {self._all[provider].root_id for one in candidates for provider in one.amounts}
        return [one for one in self._all.values() if one.root_id in roots]

    def is_flat(self, candidate: Candidate) -> bool:
        """Whether it takes from one provider of a tree only."""
        return len({self._all[one].root_id for one in candidate.amounts}) == len(candidate.amounts)

    # ------------------------------------------------------------------ one group

    def _shares(self, suffix: str, group: Group) -> Iterator[_Share]:
        root = None
        if group.in_tree is not None:
            if (named := self._all.get(group.in_tree)) is None:
                return
            root = named.root_id
        if not suffix and (self.has_trees or self._lent_to):
            yield from self._spread(suffix, group, root)
        else:
            yield from self._from_one(suffix, group, root)

    def _from_one(self, suffix: str, group: Group, root: UUID | None) -> Iterator[_Share]:
        for one in self._all.values():
            if root is not None and one.root_id != root:
                continue
            if not group.is_satisfied_by(one.traits) or not group.is_among(one) or group.is_kept_out(one):
                continue
            if all(one.fits(name, amount) for name, amount in group.resources.items()):
                parts = tuple((one.id, name, amount) for name, amount in group.resources.items())
                for anchor in dict.fromkeys((one.root_id, *self._lent_to.get(one.id, ()))):
                    if self._is_anchor(anchor):
                        yield _Share(suffix, anchor, parts, frozenset({one.id}))

    def _spread(self, suffix: str, group: Group, root: UUID | None) -> Iterator[_Share]:
        """From any providers of a tree, and those that lend to it, which have the traits between them."""
        trees: dict[UUID, dict[str, list[Provider]]] = defaultdict(lambda: defaultdict(list))
        for name, amount in group.resources.items():
            for one in self._all.values():
                if one.fits(name, amount):
                    for tree in self._trees_with(one, group, root):
                        trees[tree][name].append(one)
        for tree, of_class in trees.items():
            if len(of_class) < len(group.resources):
                continue
            for taken in product(*of_class.values()):
                self._count()
                if self._ways > MOST_WAYS:
                    return
                if any(group.forbidden & one.traits for one in taken):
                    continue
                if group.is_satisfied_by(trait for one in taken for trait in one.traits):
                    parts = tuple(
                        (one.id, name, group.resources[name]) for name, one in zip(of_class, taken, strict=True)
                    )
                    yield _Share(suffix, tree, parts, frozenset(one.id for one in taken))

    def _trees_with(self, one: Provider, group: Group, root: UUID | None) -> Iterator[UUID]:
        lends = root is None and (not group.member_of or group.is_among(one))
        for tree in dict.fromkeys((one.root_id, *(self._lent_to.get(one.id, ()) if lends else ()))):
            if root is not None and tree != root:
                continue
            top = self._all.get(tree, one)
            if not self._is_anchor(tree) or not (group.is_among(one) or group.is_among(top)):
                continue
            if not group.is_kept_out(one) and not group.is_kept_out(top):
                yield tree

    def _is_anchor(self, root: UUID) -> bool:
        asked = self._question
        if self._trees is not None and root not in self._trees:
            return False
        if not asked.root_required and not asked.root_forbidden:
            return True
        traits = self._all[root].traits
        return asked.root_required <= traits and not asked.root_forbidden & traits

    def _borrowers(self, lender: Provider) -> tuple[UUID, ...]:
        return tuple(dict.fromkeys(one.root_id for one in self._all.values() if one.aggregates & lender.aggregates))

    # ------------------------------------------------------------------ all groups

    def _together(self, groups: Sequence[Sequence[_Share]], chosen: list[_Share]) -> Iterator[tuple[_Share, ...]]:
        """Each choice of one share of every group that fits together; a choice that can't is not followed further."""
        if len(chosen) == len(groups):
            if self._is_in_same_subtrees(chosen):
                yield tuple(chosen)
            return
        for share in groups[len(chosen)]:
            self._count()
            if self._ways > MOST_WAYS:
                return
            chosen.append(share)
            if self._fits(chosen) and self._is_apart(chosen):
                yield from self._together(groups, chosen)
            chosen.pop()

    def _count(self) -> None:
        self._ways += 1

    def _fits(self, chosen: Sequence[_Share]) -> bool:
        """Together the groups may want more of a provider than each alone."""
        wanted: dict[tuple[UUID, str], int] = defaultdict(int)
        for share in chosen:
            for provider, name, amount in share.parts:
                wanted[provider, name] += amount
        return all(
            amount <= self._all[provider].stocks[name].most_for_one for (provider, name), amount in wanted.items()
        )

    def _is_apart(self, chosen: Sequence[_Share]) -> bool:
        suffixed = [share for share in chosen if share.suffix]
        if not self._question.is_isolated:
            return True
        return len(frozenset[UUID]().union(*(share.providers for share in suffixed))) == len(suffixed)

    def _is_in_same_subtrees(self, chosen: Sequence[_Share]) -> bool:
        """Of each set of groups, one provider must be above all others, or be the only one."""
        for suffixes in self._question.same_subtrees:
            taken = {one for share in chosen if share.suffix in suffixes for one in share.providers}
            if not any(all(top in self._line_of(one) for one in taken) for top in taken):
                return False
        return True

    def _line_of(self, provider: UUID) -> set[UUID]:
        """It and all above it."""
        line, at = {provider}, self._all[provider].parent_id
        while at is not None and at not in line:
            line.add(at)
            at = self._all[at].parent_id
        return line


def _merged(ways: Sequence[_Share]) -> tuple[object, Candidate]:
    """As one, with what makes it the same as another one."""
    amounts: dict[UUID, dict[str, int]] = {}
    for share in ways:
        for provider, name, amount in share.parts:
            of_provider = amounts.setdefault(provider, {})
            of_provider[name] = of_provider.get(name, 0) + amount
    mappings = {share.suffix: tuple(sorted(share.providers)) for share in ways}
    parts = frozenset((one, name, amount) for one, of_one in amounts.items() for name, amount in of_one.items())
    return (parts, frozenset(mappings.items())), Candidate(amounts, mappings)
