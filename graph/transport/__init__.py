"""How requests come and answers leave: HTTP, Server-Sent Events and graphql-transport-ws, as plain ASGI."""
