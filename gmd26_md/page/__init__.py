"""One page that shows what records say: answers, tables, figures, a section a molecule. It reads, and runs nothing."""
