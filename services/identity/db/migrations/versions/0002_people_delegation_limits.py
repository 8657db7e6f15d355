"""People, groups, delegation, limits: what the whole of Keystone's API needs."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from common.db.types import Json, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WITH_EXTRA = ("domains", "endpoints", "groups", "regions", "roles", "services")
WITH_OPTIONS = ("domains", "projects", "roles", "users")
EMPTY = sa.text("'{}'")


def upgrade() -> None:
    _new_tables()
    for table in WITH_EXTRA:
        op.add_column(table, sa.Column("extra", Json, nullable=False, server_default=EMPTY))
    for table in WITH_OPTIONS:
        op.add_column(table, sa.Column("options", Json, nullable=False, server_default=EMPTY))
    for name in ("credential_id", "trust_id"):
        op.add_column("revocations", sa.Column(name, sa.String(64), nullable=True))
    op.create_index(op.f("ix_regions_parent_region_id"), "regions", ["parent_region_id"])
    with op.batch_alter_table("endpoints") as endpoints:
        endpoints.alter_column("region_id", existing_type=sa.String(255), nullable=True)
    _immutable_becomes_an_option()
    _tags_get_a_table()
    _passwords_get_an_age()
    _groups_may_hold_roles()


def _immutable_becomes_an_option() -> None:
    roles = sa.table("roles", sa.column("immutable", sa.Boolean), sa.column("options", Json))
    op.execute(roles.update().where(roles.c.immutable).values(options={"immutable": True}))
    op.execute("ALTER TABLE roles DROP COLUMN immutable")


def _tags_get_a_table() -> None:
    projects = sa.table("projects", sa.column("id", sa.String), sa.column("tags", Json))
    tags = sa.table("project_tags", sa.column("project_id", sa.String), sa.column("tag", sa.String))
    found = op.get_bind().execute(sa.select(projects.c.id, projects.c.tags)).all()
    if rows := [{"project_id": id_, "tag": tag} for id_, given in found for tag in given]:
        op.bulk_insert(tags, rows)
    op.execute("ALTER TABLE projects DROP COLUMN tags")


def _passwords_get_an_age() -> None:
    now = datetime.now(UTC)
    for name in ("password_set_at", "password_expires_at", "created_at", "active_at"):
        op.add_column("users", sa.Column(name, UtcDateTime(), nullable=True))
    op.add_column("users", sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(op.f("ix_users_password_expires_at"), "users", ["password_expires_at"])
    users = sa.table("users", sa.column("created_at", UtcDateTime), sa.column("password_set_at", UtcDateTime))
    op.execute(users.update().values(created_at=now, password_set_at=now))


def _groups_may_hold_roles() -> None:
    op.rename_table("assignments", "former_assignments")
    for name in ("kind_target_id", "role_id"):
        op.drop_index(f"ix_assignments_{name}", "former_assignments")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE former_assignments DROP CONSTRAINT pk_assignments")
        op.execute("ALTER TABLE former_assignments DROP CONSTRAINT fk_assignments_role_id")
    op.create_table(
        "assignments",
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(5), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("target_id", sa.String(64), nullable=False),
        sa.Column("role_id", sa.String(64), nullable=False),
        sa.Column("inherited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_assignments_role_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("actor_id", "kind", "target_id", "role_id", "inherited", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_kind_target_id"), "assignments", ["kind", "target_id"])
    op.create_index(op.f("ix_assignments_role_id"), "assignments", ["role_id"])
    op.execute(
        "INSERT INTO assignments (actor_id, actor, kind, target_id, role_id, inherited) "
        "SELECT user_id, 'user', kind, target_id, role_id, false FROM former_assignments"
    )
    op.drop_table("former_assignments")


def _new_tables() -> None:
    op.create_table(
        "consumers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("extra", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumers")),
    )
    op.create_table(
        "endpoint_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("filters", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_groups")),
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("blob", Json, nullable=False),
        sa.Column("extra", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
    )
    op.create_table(
        "trusts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("trustor_user_id", sa.String(length=64), nullable=False),
        sa.Column("trustee_user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("impersonation", sa.Boolean(), nullable=False),
        sa.Column("role_ids", Json, nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("remaining_uses", sa.Integer(), nullable=True),
        sa.Column("redelegation_count", sa.Integer(), nullable=False),
        sa.Column("redelegated_trust_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("extra", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusts")),
    )
    op.create_index(op.f("ix_trusts_project_id"), "trusts", ["project_id"])
    op.create_index(op.f("ix_trusts_redelegated_trust_id"), "trusts", ["redelegated_trust_id"])
    op.create_index(op.f("ix_trusts_trustee_user_id"), "trusts", ["trustee_user_id"])
    op.create_index(op.f("ix_trusts_trustor_user_id"), "trusts", ["trustor_user_id"])

    op.create_table(
        "domain_options",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("section", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domains.id"], name=op.f("fk_domain_options_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", "section", "name", name=op.f("pk_domain_options")),
    )
    op.create_table(
        "domain_tags",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domains.id"], name=op.f("fk_domain_tags_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", "tag", name=op.f("pk_domain_tags")),
    )
    op.create_index(op.f("ix_domain_tags_tag"), "domain_tags", ["tag"])

    op.create_table(
        "policy_associations",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name=op.f("fk_policy_associations_policy_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "service_id", "region_id", name=op.f("pk_policy_associations")),
    )
    op.create_index(op.f("ix_policy_associations_policy_id"), "policy_associations", ["policy_id"])

    op.create_table(
        "registered_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=False),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("default_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_registered_limits_service_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_limits")),
        sa.UniqueConstraint(
            "service_id",
            "region_id",
            "resource_name",
            name=op.f("uq_registered_limits_service_id_region_id_resource_name"),
        ),
    )
    op.create_index(op.f("ix_registered_limits_region_id"), "registered_limits", ["region_id"])

    op.create_table(
        "access_rules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=128), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_rules_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_rules")),
        sa.UniqueConstraint(
            "user_id", "service", "method", "path", name=op.f("uq_access_rules_user_id_service_method_path")
        ),
    )
    op.create_table(
        "application_credentials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("role_ids", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_application_credentials_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_credentials")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_application_credentials_user_id_name")),
    )
    op.create_index(op.f("ix_application_credentials_project_id"), "application_credentials", ["project_id"])

    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("trust_id", sa.String(length=64), nullable=True),
        sa.Column("application_credential_id", sa.String(length=64), nullable=True),
        sa.Column("extra", Json, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_credentials_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
    )
    op.create_index(op.f("ix_credentials_application_credential_id"), "credentials", ["application_credential_id"])
    op.create_index(op.f("ix_credentials_project_id"), "credentials", ["project_id"])
    op.create_index(op.f("ix_credentials_trust_id"), "credentials", ["trust_id"])
    op.create_index(op.f("ix_credentials_user_id"), "credentials", ["user_id"])

    op.create_table(
        "former_passwords",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_former_passwords_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_passwords")),
    )
    op.create_index(op.f("ix_former_passwords_user_id"), "former_passwords", ["user_id"])

    op.create_table(
        "limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("registered_limit_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=7), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("resource_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"], ["registered_limits.id"], name=op.f("fk_limits_registered_limit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limits")),
        sa.UniqueConstraint("owner_id", "registered_limit_id", name=op.f("uq_limits_owner_id_registered_limit_id")),
    )
    op.create_index(op.f("ix_limits_registered_limit_id"), "limits", ["registered_limit_id"])

    op.create_table(
        "memberships",
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_memberships_group_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_user_id"), "memberships", ["user_id"])

    op.create_table(
        "project_endpoint_groups",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["endpoint_groups.id"], name=op.f("fk_project_endpoint_groups_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_endpoint_groups_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "group_id", name=op.f("pk_project_endpoint_groups")),
    )
    op.create_index(op.f("ix_project_endpoint_groups_group_id"), "project_endpoint_groups", ["group_id"])

    op.create_table(
        "project_endpoints",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_project_endpoints_endpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_endpoints_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name=op.f("pk_project_endpoints")),
    )
    op.create_index(op.f("ix_project_endpoints_endpoint_id"), "project_endpoints", ["endpoint_id"])

    op.create_table(
        "project_tags",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_tags_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "tag", name=op.f("pk_project_tags")),
    )
    op.create_index(op.f("ix_project_tags_tag"), "project_tags", ["tag"])

    op.create_table(
        "application_credential_access_rules",
        sa.Column("credential_id", sa.String(length=64), nullable=False),
        sa.Column("rule_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["application_credentials.id"],
            name=op.f("fk_application_credential_access_rules_credential_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["access_rules.id"], name=op.f("fk_application_credential_access_rules_rule_id")
        ),
        sa.PrimaryKeyConstraint("credential_id", "rule_id", name=op.f("pk_application_credential_access_rules")),
    )
    op.create_index(
        op.f("ix_application_credential_access_rules_rule_id"), "application_credential_access_rules", ["rule_id"]
    )

    op.create_table(
        "used_passcodes",
        sa.Column("credential_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_used_passcodes_credential_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("credential_id", "step", name=op.f("pk_used_passcodes")),
    )
    op.create_index(op.f("ix_used_passcodes_used_at"), "used_passcodes", ["used_at"])
