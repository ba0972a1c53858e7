"""The numbered versions of a ledger's tables, and how an older database becomes a current one."""
