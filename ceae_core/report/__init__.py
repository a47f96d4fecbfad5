"""Everything a page shows: published and recorded numbers, tables, figures, source lines, samples."""
