"""What each microversion changed, and what of it there is here: `docs/api/microversions.md` is written from it.

Source: Compute API guide, "REST API Version History".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    what: str
    here: str = "yes"

    @property
    def is_here(self) -> bool:
        return not self.here.startswith("no")


NO_NETWORK, NO_VOLUMES = "no: there is no network service yet", "no: there is no volume service yet"
NO_SECOND_HOST = "no: servers do not move between hosts yet; the body is checked, and the action refused"
NO_MOVE_UNDER_WAY = "no: the paths answer as where no migration is under way"
EMPTY = "yes; the list is empty, there being no service for it yet"
TAKEN = "the field is taken, and what names a port, a network or a volume is refused"

# fmt: off
HISTORY: dict[int, Change] = {
    1: Change("the first; strict about bodies"),
    2: Change("keypairs have a type, `ssh` or `x509`; made with 201, deleted with 204"),
    3: Change("servers show administrators their hostname, kernel, ramdisk, reservation, launch index, root device and user data",
              "yes; servers have no volumes whose `delete_on_termination` could be shown"),
    4: Change("`os-fixed-ips` shows whether an address is reserved", "no: `os-fixed-ips` is 410 at every version, as in Nova"),
    5: Change("everybody may filter servers by `ip6`", "yes; no server has an address yet, so the filter finds none"),
    6: Change("consoles by `remote-consoles`; the four `os-get…Console` actions end"),
    7: Change("access to a public flavor can't be given: 409"),
    8: Change("the console `mks`", "the words are known; no hypervisor here has such a console, and asking for one is refused"),
    9: Change("servers say whether they are `locked`"),
    10: Change("keypairs of other users, by `user_id`"),
    11: Change("services say and are told that they are `forced_down`"),
    12: Change("`os-virtual-interfaces` shows networks", "no: it is 410 at every version, as in Nova"),
    13: Change("server groups show project and user"),
    14: Change("evacuate without `onSharedStorage`, and without a password in the answer", NO_SECOND_HOST),
    15: Change("server groups with `soft-affinity` and `soft-anti-affinity`"),
    16: Change("servers show administrators their `host_status`"),
    17: Change("the action `trigger_crash_dump`"),
    18: Change("paths need no project id"),
    19: Change("servers have a `description`"),
    20: Change("volumes are attached to and detached from shelved servers",
               "yes, as far as a state is refused; no volume is there to be attached"),
    21: Change("the timeline of a deleted server"),
    22: Change("a live migration can be made to complete", NO_MOVE_UNDER_WAY),
    23: Change("migrations of one server; migrations have a type"),
    24: Change("a live migration can be aborted", NO_MOVE_UNDER_WAY),
    25: Change("live migration takes `auto` for block migration, and no `disk_over_commit`", NO_SECOND_HOST),
    26: Change("tags of servers, and filters by them"),
    27: Change("the header `OpenStack-API-Version`", "yes, at every version"),
    28: Change("`cpu_info` of hypervisors is an object"),
    29: Change("evacuate checks its host, unless `force`", NO_SECOND_HOST),
    30: Change("live migration checks its host, unless `force`", NO_SECOND_HOST),
    31: Change("`os-console-auth-tokens` for all kinds of consoles"),
    32: Change("tags of nics and disks of a new server", TAKEN),
    33: Change("pages of hypervisors; disks lose their tag"),
    34: Change("live migration checks in the background", NO_MOVE_UNDER_WAY),
    35: Change("pages of keypairs"),
    36: Change("paths that are other services' end: images, networks, floating IPs, security groups, volumes, snapshots, bare "
               "metal; with them the quotas of networks"),
    37: Change("`networks` must be given: a list, `none` or `auto`; nics lose their tag",
              "yes; `auto` is refused: there is no network to give"),
    38: Change("an unknown status is refused as a filter"),
    39: Change("metadata of images ends; so does its quota here"),
    40: Change("pages of usage"),
    41: Change("aggregates have a `uuid`"),
    42: Change("tags of nics and disks are back", TAKEN),
    43: Change("`os-hosts` ends"),
    44: Change("actions on fixed and floating IPs end"),
    45: Change("`createImage` and `createBackup` answer the image's id in a body, not by `Location`"),
    46: Change("`X-OpenStack-Request-ID` beside `X-Compute-Request-ID`", "yes, at every version"),
    47: Change("servers hold their flavor, not a link to it"),
    48: Change("diagnostics in the same words for all hypervisors"),
    49: Change("tags of nics and volumes that are attached", TAKEN),
    50: Change("quota classes show server groups, and no networks"),
    51: Change("the event `volume-extended`; the timeline shows `events` to everybody"),
    52: Change("tags when a server is made"),
    53: Change("services and hypervisors have UUIDs; services are changed by `PUT /os-services/{id}`; hypervisors are searched "
               "by parameters"),
    54: Change("a rebuild may change the key"),
    55: Change("flavors have a `description`, which can be changed"),
    56: Change("migrate takes a `host`", NO_SECOND_HOST),
    57: Change("`personality` ends, with its limits and quotas; a rebuild may change `user_data`",
               "yes; until then files come on the config drive, which such a server has in any case"),
    58: Change("pages of the timeline, `changes-since`, `updated_at`"),
    59: Change("pages of migrations, `changes-since`; migrations have a `uuid`"),
    60: Change("volumes with several servers", NO_VOLUMES),
    61: Change("flavors show their `extra_specs`"),
    62: Change("events of the timeline show `hostId`, and administrators `host`"),
    63: Change("`trusted_image_certificates`",
               "the field is shown, empty; certificates are refused: the image service checks signatures"),
    64: Change("server groups have one `policy` with `rules`"),
    65: Change("a live migration is aborted while it waits", NO_MOVE_UNDER_WAY),
    66: Change("the filter `changes-before`"),
    67: Change("`volume_type` of a new server's disks", TAKEN),
    68: Change("live migration and evacuate lose `force`", NO_SECOND_HOST),
    69: Change("what a cell that is down leaves of an answer", "no: there is one database, and without it no answer"),
    70: Change("tags in answers about attachments", EMPTY),
    71: Change("one server shows its `server_groups`"),
    72: Change("ports that ask for resources", NO_NETWORK),
    73: Change("a reason when a server is locked; `locked` as a filter"),
    74: Change("a new server's `host` and `hypervisor_hostname`"),
    75: Change("unknown parameters and fields are refused; update and rebuild answer the whole server; a flavor's `swap` is 0"),
    76: Change("the event `power-update`", "the event is taken; no bare metal is there to be told"),
    77: Change("unshelve takes an availability zone"),
    78: Change("the NUMA `topology` of a server", "yes, of the guest; the nodes and processors of its host are not told"),
    79: Change("`delete_on_termination` of attached volumes", EMPTY),
    80: Change("migrations show and are filtered by user and project"),
    81: Change("images are put into the caches of an aggregate's hosts"),
    82: Change("the event `accelerator-request-bound`", "the event is taken; no accelerator is there to be bound"),
    83: Change("more filters of servers for everybody"),
    84: Change("failed events of the timeline tell `details`"),
    85: Change("`delete_on_termination` of an attached volume can be changed", NO_VOLUMES + "; the body is checked"),
    86: Change("known extra specs are checked when a flavor gets them"),
    87: Change("servers with a volume for a root disk are rescued", NO_VOLUMES),
    88: Change("hypervisors lose their figures and gain `uptime`; `statistics` and `uptime` by path end"),
    89: Change("attached volumes show `attachment_id` and `bdm_uuid`, not `id`", EMPTY),
    90: Change("a server's `hostname` is set by everybody, and shown to everybody"),
    91: Change("unshelve takes a `host`, and pins or unpins the zone"),
    92: Change("keypairs are not generated any more; `@` and `.` in their names"),
    93: Change("servers with a volume for a root disk are rebuilt", NO_VOLUMES),
    94: Change("`hostname` may be a whole domain name"),
    95: Change("evacuated servers stay off", NO_SECOND_HOST),
    96: Change("servers show `pinned_availability_zone`"),
    97: Change("shares of servers", EMPTY),
    98: Change("servers show the `properties` of their image"),
    99: Change("the console `spice-direct`; `tls_port` of a console's token; that path takes no parameters",
               "`tls_port` is shown; `spice-direct` is refused: a guest's screen listens at no port"),
    100: Change("servers show their `scheduler_hints`"),
    101: Change("attaching a volume answers 202", NO_VOLUMES),
    102: Change("flavors lose `rxtx_factor` and `OS-FLV-DISABLED:disabled` and are found by `name`; no path takes "
                "parameters that it does not know"),
    103: Change("`os-volumes_boot`, another name for `servers`, ends"),
    104: Change("`pinned_availability_zone` can be changed"),
}
# fmt: on
