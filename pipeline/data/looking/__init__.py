"""What a file seems to be, before any scenario says so: every answer is a guess, and is told as one."""
