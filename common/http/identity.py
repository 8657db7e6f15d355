"""The dependency by which a route learns who is calling."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from common.auth.callers import Caller as Who
from common.auth.tokens import NOT_VALID, TokenVerifier
from common.errors import Unauthenticated


async def authenticated(request: Request) -> Who:
    """The caller of this request, by its X-Auth-Token alone.  Unauthenticated

    The application's `state.verifier` checks it.  Not a plain `def`: a hop to a thread costs more than the check.
    """
    given = request.headers.getlist("x-auth-token")
    if len(given) != 1 or not given[0]:
        raise Unauthenticated(NOT_VALID)
    verifier: TokenVerifier = request.app.state.verifier
    if verifier.may_be_new(given[0]):
        caller = await run_in_threadpool(verifier.verify, given[0])
    else:
        caller = verifier.verify_here(given[0])
    request.state.caller = caller
    return caller


Caller = Annotated[Who, Depends(authenticated)]
