"""The search of a platform that runs trials itself: what is tried, where it runs, when it is stopped and tried again."""
