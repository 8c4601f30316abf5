"""The server's tables: SQLAlchemy Core without anything of one database's own."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "accounts",
    "assets",
    "attachments",
    "audit",
    "changes",
    "clock",
    "deployed_media",
    "deployments",
    "devices",
    "documents",
    "failures",
    "imports",
    "media",
    "metadata",
    "phone_keys",
    "schema",
    "sessions",
    "settings",
    "submissions",
    "tokens",
]

metadata = MetaData()

schema = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

clock = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("submission", BigInteger, nullable=False, comment="the last _id given; never reused"),
    Column("document", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, comment="µs since 1970; grows with every change"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("password", String(200), comment="argon2id; null: signs in by token only"),
    Column("created_at", String(32), nullable=False),
    Column("provinces", Text, nullable=False, server_default="", comment="codes; empty: all"),
    Column("disabled_at", String(32), comment="null: may sign in"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", String(32), nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of what the cookie holds"),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("seen_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column(
        "name", String(80), primary_key=True, comment="what was tried: an account or an address"
    ),
    Column("count", Integer, nullable=False, comment="failures in a row"),
    Column("locked_until", String(32), nullable=False),
)

phone_keys = Table(
    "phone_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("label", String(80), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
    Column("kind", String(20), nullable=False, server_default="phone", comment="phone or link"),
    Column("forms", Text, nullable=False, server_default="", comment="form ids; empty: all"),
    Column("provinces", Text, nullable=False, server_default="", comment="codes; empty: all"),
    Column("expires_at", String(32), comment="null: never"),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sender", String(80), nullable=False, comment="label of the key, or account"),
    Column("device", String(255), nullable=False, comment="deviceID as told; empty: not told"),
    Column("seen_at", String(32), nullable=False),
    Column("sent_at", String(32), comment="its last accepted submission"),
    Column("waiting", Integer, comment="records it last said wait on it; null: does not say"),
    UniqueConstraint("sender", "device"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", String(32), nullable=False, index=True),
    Column("who", String(80), nullable=False),
    Column("action", String(40), nullable=False),
    Column("what", String(255), nullable=False, comment="never personal data, never a secret"),
)
"""Who did what, for ever; what happens to submissions stands in `changes`."""

settings = Table(
    "settings",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("value", Text, nullable=False),
)

assets = Table(
    "assets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(40), nullable=False, unique=True),
    Column("owner", String(80), nullable=False),
    Column("asset_type", String(20), nullable=False),
    Column("name", String(255), nullable=False),
    Column("form_id", String(255), nullable=False, comment="form_id of the settings sheet"),
    Column("settings", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("version_id", String(40), nullable=False),
    Column("version_count", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("modified_at", String(32), nullable=False),
    Column("deployment_uuid", String(40), unique=True),
    Column("deployed_version_id", String(40)),
    Column("deployed_at", String(32)),
    Column("active", Boolean, nullable=False),
    Column("submission_count", Integer, nullable=False),
    Column("last_submission_at", String(32)),
    Column("content", Text, nullable=False),
    Column("workbook", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # an id that was once told never means another row
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("version_id", String(40), nullable=False),
    Column("version", String(64), nullable=False, comment="as phones see it"),
    Column("content_hash", String(64), nullable=False),
    Column("md5", String(32), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("xform", Text, nullable=False),
    Column("workbook", LargeBinary, nullable=False),
    UniqueConstraint("asset_id", "number"),
    sqlite_autoincrement=True,  # an id that was once told never means another row
)

media = Table(
    "media",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(40), nullable=False, unique=True),
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", String(255), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("md5", String(32), nullable=False),
    Column("created_at", String(32), nullable=False),
    UniqueConstraint("asset_id", "name"),
)

deployed_media = Table(
    "deployed_media",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("md5", String(32), nullable=False),
    sqlite_autoincrement=True,  # an id that was once told never means another row
)

imports = Table(
    "imports",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("status", String(20), nullable=False),
    Column("messages", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("root_id", String(255), nullable=False, comment="the first instanceID, for ever"),
    Column("instance_id", String(255), nullable=False, comment="the present instanceID"),
    Column("document_id", BigInteger, nullable=False, comment="the present document"),
    Column("submitted_at", String(32), nullable=False),
    Column("modified_at", String(32), nullable=False),
    Column("submitter", String(80), nullable=False),
    Column("status_uid", String(40), nullable=False),
    Column("status", Text, nullable=False, comment="validation status as JSON"),
    Column("attachments", Text, nullable=False, comment="as JSON, NUL for the server's address"),
    Column("person", String(40), comment="as the programme says who; null: not told"),
    Column("course", String(40)),
    Column("province", String(2)),
    Column("device", String(255)),
    Index("submissions_by_place", "asset_id", "course", "person"),
    Index("submissions_by_id", "asset_id", "id"),
    Index("submissions_by_change", "asset_id", "modified_at"),
    Index("submissions_by_time", "asset_id", "submitted_at"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("asset_id", Integer, nullable=False),
    Column(
        "submission_id",
        ForeignKey("submissions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("instance_id", String(255), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("received_at", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the answers as KoboToolbox's JSON"),
    Column("xml", LargeBinary, nullable=False, comment="verbatim"),
    UniqueConstraint("asset_id", "instance_id"),
)
"""Every version of every submission. Its unique pair is what makes a resend harmless."""

attachments = Table(
    "attachments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(40), nullable=False, unique=True),
    Column(
        "submission_id",
        ForeignKey("submissions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", String(255), nullable=False, comment="as the phone sent it"),
    Column("question", String(1000), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("created_at", String(32), nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("at", String(32), nullable=False, comment="the `modified_at` it gave the submission"),
    Column("action", String(20), nullable=False),
    Column("root_id", String(255), nullable=False),
    Column("submitter", String(80), nullable=False, comment="who sent the submission at first"),
    Column("who", String(80), nullable=False, comment="who made the change; empty: not known"),
    Column("status", String(20), comment="the label, where a validation status was set"),
    Index("changes_by_time", "asset_id", "at"),
)
"""What happened to submissions, for ever: rows are added with the change they tell of, never changed;
a deleted submission's stay."""

for table in metadata.tables.values():
    for column in table.columns:
        if isinstance(column.type, String):
            # bytes decide, as in SQLite: `sort` and comparisons are the same on every server, and a
            # text that is too long for its column is nobody's error
            column.type = column.type.with_variant(Text(collation="C"), "postgresql")
