"""The pre-flight check: everything that can be known of a model before a device sees it."""
