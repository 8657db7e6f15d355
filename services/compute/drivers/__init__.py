"""Outside things that compute works with, one folder each."""
