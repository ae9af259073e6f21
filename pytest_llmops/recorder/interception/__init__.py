"""Between an app and the network: HTTP clients, threads, and whose a model call is."""
