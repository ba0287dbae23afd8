"""What vendors' webhooks say, as events of ours: signatures, and one module for each vendor. Pure, like all of the domain."""
