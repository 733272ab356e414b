"""Everything that `hub up` starts: servers of its own, children, one supervisor."""
