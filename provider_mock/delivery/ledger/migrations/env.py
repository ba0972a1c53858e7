"""Runs the steps on the connection that `upgrade` passes, inside the transaction that it has begun.

For work on the steps: `alembic -c` is not needed, a test compares their result with the models.
"""

from alembic import context
from im_callback.provider_mock.delivery.ledger import models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=models.metadata,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
