// graphql-ws on ws, as its documentation shows it, with the publisher of GraphQL Yoga.
// https://the-guild.dev/graphql/ws/get-started
import { createServer } from 'node:http';
import { createPubSub } from '@graphql-yoga/subscription';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const schema = buildSchema(`
  type RunEvent {
    id: ID! cursor: String! type: String! timestamp: String! message: String! runId: ID! sequence: Int! status: String!
  }
  type Query { ready: Boolean! }
  type Subscription { runEvents(runId: ID!): RunEvent! }
`);
const bus = createPubSub();
schema.getSubscriptionType().getFields().runEvents.subscribe = (_, { runId }) => bus.subscribe(runId);
schema.getSubscriptionType().getFields().runEvents.resolve = (event) => event;

let number = 0;
function event(runId) {
  number += 1;
  return {
    id: `event_${runId}_${number}`,
    cursor: `Q4G7gnkeAAAAAAA${String(number).padStart(7, '0')}`,
    type: 'METRIC',
    timestamp: '2026-11-24T09:30:00.123456Z',
    message: 'No samples.',
    runId,
    sequence: number,
    status: 'AWAITING_APPROVAL',
  };
}

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url, 'http://localhost');
  const at = Number(process.hrtime.bigint()) / 1e9; // the clock of Python's time.monotonic
  const runId = searchParams.get('run');
  for (let left = Number(searchParams.get('count')); left > 0; left -= 1) bus.publish(runId, event(runId));
  response.end(JSON.stringify({ at }));
});
useServer({ schema }, new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false }));
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
