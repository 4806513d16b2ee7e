"""What the readers of formats share: files are found, images named, outlines drawn."""
