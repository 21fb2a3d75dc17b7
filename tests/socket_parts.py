"""Messages of a WebSocket that arrive together."""


def in_one_packet(connection, messages):
    for message in messages:
        if isinstance(message, str):
            connection.protocol.send_text(message.encode())
        else:
            connection.protocol.send_binary(message)
    connection.transport.write(b"".join(connection.protocol.data_to_send()))
