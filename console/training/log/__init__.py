"""Reading a run's log: which level a line has, and only the lines that somebody asks for. Light to import."""
