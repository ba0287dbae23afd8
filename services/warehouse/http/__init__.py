"""The query API: what can be asked, who may ask, how answers and errors go out, and the OpenAPI document."""
