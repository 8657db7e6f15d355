"""The dependency by which a route learns who is calling."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from common.auth.callers import Caller as Who
from common.auth.tokens import EXPIRED_GRACE_S, NOT_VALID, TokenVerifier
from common.errors import Unauthenticated


async def authenticated(request: Request) -> Who:
    """The caller of this request, by its X-Auth-Token.  Unauthenticated

    A service that passes a user's token on shows its own as X-Service-Token: then the user's may have ended meanwhile, and
    what the user's application credential may ask for is not asked again.  The application's `state.verifier` checks both.
    Not a plain `def`: a hop to a thread costs more than the check.
    """
    verifier: TokenVerifier = request.app.state.verifier
    is_passed_on = await _from_a_service(request, verifier)
    caller = await _verified(verifier, _one(request, "x-auth-token"), EXPIRED_GRACE_S if is_passed_on else 0)
    if caller.access_rules and not is_passed_on:
        _must_be_listed(request, caller)
    request.state.caller = caller
    return caller


def _one(request: Request, header: str) -> str:
    given = request.headers.getlist(header)
    if len(given) != 1 or not given[0]:
        raise Unauthenticated(NOT_VALID)
    return given[0]


async def _from_a_service(request: Request, verifier: TokenVerifier) -> bool:
    """Whether a service vouches for the request.  Unauthenticated when the one that says so is none"""
    if "x-service-token" not in request.headers:
        return False
    service = await _verified(verifier, _one(request, "x-service-token"), 0)
    if not service.is_service:
        raise Unauthenticated(NOT_VALID, reason="the service token has no service role")
    return True


async def _verified(verifier: TokenVerifier, token: str, grace_s: float) -> Who:
    if verifier.may_be_new(token):
        return await run_in_threadpool(verifier.verify, token, grace_s=grace_s)
    return verifier.verify_here(token, grace_s=grace_s)


def _must_be_listed(request: Request, caller: Who) -> None:
    """By its path here, or as the public address has it.  Unauthenticated"""
    service: str = request.app.state.service_type
    path = request.scope["path"]
    paths = (path, f"/{service}{path}")
    if not any(rule.allows(service, request.method, paths) for rule in caller.access_rules):
        raise Unauthenticated(NOT_VALID, reason="no access rule allows the request")


Caller = Annotated[Who, Depends(authenticated)]
