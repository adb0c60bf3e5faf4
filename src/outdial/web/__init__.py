"""Pages for people: plain HTML served beside the API."""
