"""The book: runs its chapters with papermill (`chapters`) and renders the executed copies with Sphinx (`extension`)."""
