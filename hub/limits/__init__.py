"""What bounds calls across all workers: rates, calls at once, and answers that are kept. Lives in Redis; rebuildable."""
