"""What stands between a snapshot and a model: row rules, expectation suites, passport, Data Docs, leak audit."""
