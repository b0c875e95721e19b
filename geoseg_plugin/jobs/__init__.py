"""Jobs as plain data: submissions are jobs with a folder and a title."""
