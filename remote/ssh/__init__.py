"""SSH and SFTP to what carries no agent: servers, NAS, switches and routers of a client."""
