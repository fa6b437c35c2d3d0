"""Review sessions with their reads, and the audit trail; what was read or done is only ever added."""

import sqlalchemy as sql
from alembic import op

from hemodetect.storage.migrations.added_only import added_only

revision = "0002"
down_revision = "0001"

ADDED_ONLY = ("reads", "model_reads", "audit_trail")


def upgrade() -> None:
    """Create the tables of review sessions and their reads."""
    op.create_table(
        "review_sessions",
        sql.Column("id", sql.String(16), primary_key=True),
        sql.Column("title", sql.String(200), nullable=False),
        sql.Column("mode", sql.String(16), nullable=False),
        sql.Column("seed", sql.Integer, nullable=False),
        sql.Column("created", sql.DateTime(timezone=True), nullable=False),
        sql.Column("created_by", sql.String(200), nullable=False),
    )
    op.create_table(
        "review_readers",
        sql.Column(
            "session", sql.String(16), sql.ForeignKey("review_sessions.id"), primary_key=True
        ),
        sql.Column("reader", sql.String(200), primary_key=True),
        sql.Column("place", sql.Integer, nullable=False),
    )
    op.create_table(
        "review_studies",
        sql.Column(
            "session", sql.String(16), sql.ForeignKey("review_sessions.id"), primary_key=True
        ),
        sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
        sql.Column("source", sql.JSON, nullable=False),
        sql.Column("truth", sql.String(16)),
    )
    op.create_table(
        "reads",
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
        sql.ForeignKeyConstraint(
            ["session", "study"], ["review_studies.session", "review_studies.number"]
        ),
        sql.ForeignKeyConstraint(
            ["session", "reader"], ["review_readers.session", "review_readers.reader"]
        ),
        sql.UniqueConstraint("session", "study", "reader", "stage", name="one_read_a_stage"),
    )
    op.create_table(
        "model_reads",
        sql.Column("session", sql.String(16), primary_key=True),
        sql.Column("study", sql.Integer, primary_key=True, autoincrement=False),
        sql.Column("family", sql.String(32), primary_key=True),
        sql.Column("version", sql.String(200), nullable=False),
        sql.Column("probability", sql.Float, nullable=False),
        sql.Column("threshold", sql.Float, nullable=False),
        sql.Column("undecided", sql.Boolean, nullable=False),
        sql.ForeignKeyConstraint(
            ["session", "study"], ["review_studies.session", "review_studies.number"]
        ),
    )
    op.create_table(
        "audit_trail",
        sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
        sql.Column("at", sql.String(40), nullable=False),
        sql.Column("who", sql.String(200), nullable=False),
        sql.Column("action", sql.String(40), nullable=False),
        sql.Column("subject", sql.String(200), nullable=False),
        sql.Column("detail", sql.Text, nullable=False),
        sql.Column("previous", sql.String(64), nullable=False),
        sql.Column("digest", sql.String(64), nullable=False),
    )
    for table in ADDED_ONLY:
        added_only(table)


def downgrade() -> None:
    """Refused: data would be lost."""
    raise NotImplementedError("reads and the audit trail are not thrown away")
