"""The Knowledge page: taking documents in, the list of bases, the retrieval lab, and the quality view."""
