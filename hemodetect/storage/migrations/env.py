"""What Alembic runs the migrations with: the connection that `hemodetect.storage.database` gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
