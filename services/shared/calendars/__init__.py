"""When people do not work: the public holidays of the world, as one table in the repository."""
