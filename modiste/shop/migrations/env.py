"""What Alembic runs: the migrations, on the connection and in the transaction of whoever asked for them."""

from alembic import context

from modiste.shop.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
