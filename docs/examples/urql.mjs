import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { connect } from "./graphql-ws.mjs";

const EVENTS = gql`
  subscription ($runId: ID!, $after: String) {
    runEvents(runId: $runId, after: $after) { cursor sequence type status message }
  }`;

export async function follow(url, runId, show) {
  const socket = connect(url);
  const client = new Client({
    url,
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
        }),
      }),
    ],
  });
  await new Promise((resolve, reject) =>
    client.subscription(EVENTS, { runId }).subscribe(({ data, error, hasNext }) => {
      if (error) reject(error);
      else if (hasNext === false) resolve(); // urql shows the last event a second time to say that it was the last
      else show(data.runEvents);
    }),
  );
  await socket.dispose();
}
