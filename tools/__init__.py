"""Commands of the project. They are run from its root."""
