"""The slice viewer: a component in the browser, and what the server sends to it."""
