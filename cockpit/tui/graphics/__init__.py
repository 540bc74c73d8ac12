"""Real pixels in terminals that can show them: which protocol there is, and its byte streams."""
