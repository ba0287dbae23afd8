"""Pure part of the warehouse: records to rows, and parameters to filters."""
