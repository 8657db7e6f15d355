"""Importing any of it makes every table known, so that none is missing from the metadata."""

from services.identity.db import cloud_tables as cloud_tables
from services.identity.db import delegation_tables as delegation_tables
