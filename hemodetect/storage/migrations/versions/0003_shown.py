"""Which bundles each reader was shown, what each of them said, and studies that were skipped."""

import sqlalchemy as sql
from alembic import op

from hemodetect.storage.migrations.added_only import added_only

revision = "0003"
down_revision = "0002"

_COLUMNS = "session, study, family, version, probability, threshold, undecided"


def upgrade() -> None:
    """Add the bundles of each read, and tables of model reads and skipped studies."""
    op.add_column("reads", sql.Column("bundles", sql.JSON, nullable=False, server_default="[]"))
    op.create_table(
        "review_skips",
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
    added_only("review_skips")
    # A study keeps what every version said of it; SQLite changes no primary key of a table.
    op.rename_table("model_reads", "model_reads_0002")
    op.create_table(
        "model_reads",
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
    op.execute(f"INSERT INTO model_reads ({_COLUMNS}) SELECT {_COLUMNS} FROM model_reads_0002")
    op.drop_table("model_reads_0002")
    added_only("model_reads")


def downgrade() -> None:
    """Refused: data would be lost."""
    raise NotImplementedError("reads are not thrown away")
