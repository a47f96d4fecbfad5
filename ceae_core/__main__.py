"""`python -m ceae_core` is the `ceae` command."""

from ceae_core.cli import main

raise SystemExit(main())
