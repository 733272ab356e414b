"""The routes of the API, one class for each noun; `HttpClient` is all of them."""
