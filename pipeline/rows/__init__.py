"""What makes views from tables, one folder a kind."""
