"""What `tidemark doctor` looks at: this machine, settings, what takes no effect, services that run, and the cluster."""
