import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { connect } from "./graphql-ws.mjs";

const RUN = gql`
  query ($runId: ID!) {
    run(id: $runId) { id status allowedActions eventCursor plan { version summary } }
  }`;
const EVENTS = gql`
  subscription ($runId: ID!, $after: String) {
    runEvents(runId: $runId, after: $after) { id cursor sequence type status message }
  }`;

export async function follow(url, runId, show) {
  const socket = connect(url);
  const link = ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    new HttpLink({ uri: url }),
  );
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  const { data } = await client.query({ query: RUN, variables: { runId } });
  // The snapshot says where it ends; the subscription goes on from there, with no gap and no repeat.
  const variables = { runId, after: data.run.eventCursor };
  await new Promise((resolve, reject) =>
    client.subscribe({ query: EVENTS, variables }).subscribe({
      next: ({ data, error }) => (error ? reject(error) : show(data.runEvents)),
      error: reject,
      complete: resolve,
    }),
  );
  client.stop();
  await socket.dispose();
}
