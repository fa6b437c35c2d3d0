"""Jobs."""

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table of jobs."""
    if sql.inspect(op.get_bind()).has_table("jobs"):
        return  # of a version that had no migrations yet
    op.create_table(
        "jobs",
        sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
        sql.Column("id", sql.String(16), nullable=False, unique=True),
        sql.Column("plan", sql.JSON, nullable=False),
        sql.Column("device", sql.String(32), nullable=False),
        sql.Column("who", sql.String(200), nullable=False),
        sql.Column("host", sql.String(200), nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("reason", sql.Text, nullable=False),
        sql.Column("cancelling", sql.Boolean, nullable=False),
        sql.Column("created", sql.DateTime(timezone=True), nullable=False),
        sql.Column("started", sql.DateTime(timezone=True)),
        sql.Column("ended", sql.DateTime(timezone=True)),
        sql.Column("heard", sql.DateTime(timezone=True), nullable=False),
        sql.Column("exit_status", sql.Integer),
        sql.Column("versions", sql.JSON, nullable=False),
        sql.Column("fingerprint", sql.String(64)),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("jobs")
