"""Tables of review sessions; created by `hemodetect/storage/migrations`."""

from __future__ import annotations

import sqlalchemy as sql

from hemodetect.storage.database import metadata

sessions = sql.Table(
    "review_sessions",
    metadata,
    sql.Column("id", sql.String(16), primary_key=True),
    sql.Column("title", sql.String(200), nullable=False),
    sql.Column("mode", sql.String(16), nullable=False),
    sql.Column("seed", sql.Integer, nullable=False),
    sql.Column("created", sql.DateTime(timezone=True), nullable=False),
    sql.Column("created_by", sql.String(200), nullable=False),
)
readers = sql.Table(
    "review_readers",
    metadata,
    sql.Column("session", sql.String(16), sql.ForeignKey("review_sessions.id"), primary_key=True),
    sql.Column("reader", sql.String(200), primary_key=True),
    sql.Column("place", sql.Integer, nullable=False),
)
studies = sql.Table(
    "review_studies",
    metadata,
    sql.Column("session", sql.String(16), sql.ForeignKey("review_sessions.id"), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("source", sql.JSON, nullable=False),
    sql.Column("truth", sql.String(16)),
)
reads = sql.Table(
    "reads",
    metadata,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("session", sql.String(16), nullable=False),
    sql.Column("study", sql.Integer, nullable=False),
    sql.Column("reader", sql.String(200), nullable=False),
    sql.Column("stage", sql.String(8), nullable=False),
    sql.Column("call", sql.String(16), nullable=False),
    sql.Column("confidence", sql.Integer, nullable=False),
    sql.Column("slices", sql.JSON, nullable=False),
    sql.Column("types", sql.JSON, nullable=False),
    sql.Column("note", sql.Text, nullable=False),
    sql.Column("seconds", sql.Float, nullable=False),
    sql.Column("at", sql.DateTime(timezone=True), nullable=False),
    sql.Column("bundles", sql.JSON, nullable=False, server_default="[]"),
    sql.Column("mark", sql.JSON(none_as_null=True)),
    sql.ForeignKeyConstraint(
        ["session", "study"], ["review_studies.session", "review_studies.number"]
    ),
    sql.ForeignKeyConstraint(
        ["session", "reader"], ["review_readers.session", "review_readers.reader"]
    ),
    sql.UniqueConstraint("session", "study", "reader", "stage", name="one_read_a_stage"),
)
skips = sql.Table(
    "review_skips",
    metadata,
    sql.Column("session", sql.String(16), primary_key=True),
    sql.Column("study", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("reader", sql.String(200), primary_key=True),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("at", sql.DateTime(timezone=True), nullable=False),
    sql.ForeignKeyConstraint(
        ["session", "study"], ["review_studies.session", "review_studies.number"]
    ),
    sql.ForeignKeyConstraint(
        ["session", "reader"], ["review_readers.session", "review_readers.reader"]
    ),
)
model_reads = sql.Table(
    "model_reads",
    metadata,
    sql.Column("session", sql.String(16), primary_key=True),
    sql.Column("study", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("family", sql.String(32), primary_key=True),
    sql.Column("version", sql.String(200), primary_key=True),
    sql.Column("probability", sql.Float, nullable=False),
    sql.Column("threshold", sql.Float, nullable=False),
    sql.Column("undecided", sql.Boolean, nullable=False),
    sql.Column("trained_on", sql.Boolean),
    sql.ForeignKeyConstraint(
        ["session", "study"], ["review_studies.session", "review_studies.number"]
    ),
)
