"""How requests come in and answers go out: the application, bodies within bounds, CORS, what is refused, and the OpenAPI document."""
