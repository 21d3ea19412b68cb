import { createClient } from "graphql-ws";
import { resuming } from "./resuming.mjs";

export function connect(url) {
  return resuming(
    createClient({
      url: url.replace(/^http/, "ws"),
      keepAlive: 10_000, // ping, so that a connection that died in silence is noticed
      retryAttempts: Infinity,
      shouldRetry: () => true,
    }),
  );
}

export async function follow(url, runId, show) {
  const client = connect(url);
  const query = `
    subscription ($runId: ID!, $after: String) {
      runEvents(runId: $runId, after: $after) { cursor sequence type status message }
    }`;
  await new Promise((resolve, reject) =>
    client.subscribe({ query, variables: { runId } }, {
      next: ({ data }) => show(data.runEvents),
      error: reject,
      complete: resolve, // the run ended: nothing will ever follow
    }),
  );
  await client.dispose();
}
