"""The place of the bleed that a reader marked."""

import sqlalchemy as sql
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the mark of each read."""
    op.add_column("reads", sql.Column("mark", sql.JSON(none_as_null=True)))


def downgrade() -> None:
    """Refused: data would be lost."""
    raise NotImplementedError("reads are not thrown away")
