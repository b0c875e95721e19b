"""What a user can ask for, as plain data: submissions are jobs with a folder and a title."""
