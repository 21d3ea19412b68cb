// graphql-ws repeats a cut subscription with the variables it began with, which would replay everything.
// This keeps `after` at the last cursor that arrived, so that a reconnect goes on exactly there.
export function resuming(client) {
  return {
    ...client,
    subscribe(payload, sink) {
      const variables = { ...payload.variables };
      return client.subscribe({ ...payload, variables }, {
        ...sink,
        next(result) {
          const [event] = Object.values(result.data ?? {});
          if (event?.cursor) variables.after = event.cursor;
          sink.next(result);
        },
      });
    },
  };
}
