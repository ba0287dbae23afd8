"""The whole pipeline on this machine: its programs, who supervises them, where they are."""
