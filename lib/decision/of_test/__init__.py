"""What 04 makes of the test set: masks, their scores where it has labels, and their quality."""
