// Drives the server with graphql-ws and graphql-sse as front ends do; prints what each saw.
import { createClient as createSocketClient } from "graphql-ws";
import { createClient as createStreamClient } from "graphql-sse";
import WebSocket from "ws";

const [, , url] = process.argv;

function collect(client, request) {
  return new Promise((resolve) => {
    const seen = [];
    client.subscribe(request, {
      next: (result) => seen.push(result.data ?? result.errors.map((error) => error.extensions.code)),
      error: (errors) => resolve([...seen, errors.map((error) => error.extensions.code)]),
      complete: () => resolve([...seen, "complete"]),
    });
  });
}

/** Leaves a subscription after its first event. */
async function cancel(client) {
  const iterator = client.iterate({ query: "subscription { feed }" });
  const first = await iterator.next();
  await iterator.return();
  return first.value.data;
}

async function drive(client) {
  return {
    query: await collect(client, { query: "{ hello }" }),
    mutation: await collect(client, { query: "mutation { increment }" }),
    subscription: await collect(client, { query: "subscription ($n: Int!) { count(to: $n) }", variables: { n: 3 } }),
    syntaxError: await collect(client, { query: "{ hello" }),
    validationError: await collect(client, { query: "{ nothing }" }),
    notFound: await collect(client, { query: "subscription { unknown }" }),
    cancelled: await cancel(client),
    afterwards: await collect(client, { query: "{ hello }" }),
  };
}

async function ping() {
  let told;
  const answered = new Promise((resolve) => (told = resolve));
  const client = createSocketClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    lazy: false,
    keepAlive: 10,
    on: { pong: (received) => received && told(true) },
  });
  const pong = await answered;
  await client.dispose();
  return pong;
}

const closes = [];
const sockets = createSocketClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  lazy: false,
  connectionParams: { authorization: "Bearer token" },
  on: { closed: (event) => closes.push(event.code) },
});
const streams = createStreamClient({ url });
const report = { socket: await drive(sockets), stream: await drive(streams), pong: await ping() };
report.closedEarly = closes.length > 0;
await sockets.dispose();
streams.dispose();
console.log(JSON.stringify(report));
