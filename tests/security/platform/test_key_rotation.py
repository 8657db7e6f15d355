"""Keys are replaced under everybody's hands, by the operator's own command, and no call fails."""

from __future__ import annotations

import threading

from tests.security.platform.people import Person, Town, sign_in

ASKED = ("/identity/v3/auth/projects", "/compute/v2.1/servers", "/image/v2/images?limit=1")


def test_an_operator_rotates_the_keys_and_no_call_fails(town: Town, alice: Person) -> None:
    statuses, over = list[int](), threading.Event()

    def call() -> None:
        while not over.is_set():
            answer = sign_in(alice.http, alice.name, alice.password, alice.project)
            statuses.append(answer.status_code)
            for token in (alice.token, answer.headers.get("x-subject-token", "")):
                for path in ASKED:
                    statuses.append(alice.ask("GET", path, headers={"x-auth-token": token}).status_code)

    threads = [threading.Thread(target=call) for _ in range(2)]
    before = town.cloud.pileus("keys", "list").splitlines()
    for thread in threads:
        thread.start()
    said = [town.cloud.pileus("keys", "rotate") for _ in range(2)]
    over.set()
    for thread in threads:
        thread.join()

    keys = town.cloud.pileus("keys", "list").splitlines()
    assert len(keys) == len(before) + 2 and [one.endswith("in use") for one in keys] == [False] * (len(keys) - 1) + [
        True
    ]
    assert keys[-1].split()[0] in said[-1]
    assert len(statuses) > 20 and set(statuses) <= {200, 201}
