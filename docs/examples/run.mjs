// node run.mjs graphql-ws|apollo|urql http://127.0.0.1:8000/graphql RUN_ID
const [, , client, url, runId] = process.argv;
const { follow } = await import(`./${client}.mjs`);
await follow(url, runId, (event) => console.log(JSON.stringify(event)));
