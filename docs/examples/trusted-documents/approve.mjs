// node approve.mjs http://127.0.0.1:8000/graphql
import { createClient } from "graphql-ws";
import { ApproveDocument, FollowDocument, RunsAwaitingApprovalDocument } from "./gql/graphql.ts";

const url = process.argv[2];
const idOf = (document) => document.__meta__.hash; // sha256:...

async function ask(document, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ documentId: idOf(document), variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

const { runs } = await ask(RunsAwaitingApprovalDocument, { first: 10 });
const socket = createClient({ url: url.replace("http", "ws") });
for (const { id: runId, plan } of runs.nodes) {
  await ask(ApproveDocument, { input: { runId, approved: true, planVersion: plan.version } });
  // graphql-ws wants a query, so it gets an empty one.
  const events = socket.iterate({ query: "", documentId: idOf(FollowDocument), variables: { runId } });
  for await (const { data, errors } of events) console.log(JSON.stringify(data?.runEvents ?? errors));
}
await socket.dispose();
