"""Write keys: who may send, where a request names its key, and how much may be sent with it."""
