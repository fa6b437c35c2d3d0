"""The worklist, and results that wait to be sent."""

import sqlalchemy as sql
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "worklist",
        sql.Column("study", sql.String(64), primary_key=True),
        sql.Column("source", sql.String(200), nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("files", sql.Integer, nullable=False),
        sql.Column("received", sql.DateTime(timezone=True), nullable=False),
        sql.Column("heard", sql.DateTime(timezone=True), nullable=False),
        sql.Column("judged", sql.DateTime(timezone=True)),
        sql.Column("attempts", sql.Integer, nullable=False),
        sql.Column("score", sql.Float),
        sql.Column("slices", sql.Integer, nullable=False),
        sql.Column("answers", sql.JSON, nullable=False),
        sql.Column("cautions", sql.JSON, nullable=False),
        sql.Column("reason", sql.Text, nullable=False),
        sql.Column("taken_by", sql.String(200), nullable=False),
        sql.Column("taken", sql.DateTime(timezone=True)),
        sql.Column("done_by", sql.String(200), nullable=False),
        sql.Column("done", sql.DateTime(timezone=True)),
    )
    op.create_table(
        "deliveries",
        sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
        sql.Column("study", sql.String(64), nullable=False),
        sql.Column("who", sql.String(200), nullable=False),
        sql.Column("files", sql.Integer, nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("attempts", sql.Integer, nullable=False),
        sql.Column("reason", sql.Text, nullable=False),
        sql.Column("created", sql.DateTime(timezone=True), nullable=False),
        sql.Column("next_try", sql.DateTime(timezone=True), nullable=False),
        sql.Column("ended", sql.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Drop both tables; the studies' files stay."""
    op.drop_table("deliveries")
    op.drop_table("worklist")
