"""Amazon product reviews of the UCSD archive as ftkit data sets."""
