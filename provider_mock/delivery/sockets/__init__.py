"""HTTP/1.1 on sockets: the client with kept connections, and the one that does what no proper client does."""
