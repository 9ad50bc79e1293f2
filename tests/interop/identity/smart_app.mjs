// A SMART app on the real `fhirclient` (npm), as a small web server: EHR launch, authorization code with PKCE, reads, searches, pages.
//
// Input: one line of JSON on standard input, {client, scope, read, absent, search}. Output: `ready http://127.0.0.1:PORT`.
//   GET /launch?iss=…&launch=…   redirects to the authorization endpoint that the FHIR server names
//   GET /callback?code=…         gets the token, asks, and answers with what the app saw, as JSON
// It ends when standard input closes.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import smart from 'fhirclient';

const session = {};

async function statusOf(client, target) {
  try {
    await client.request(target);
    return 200;
  } catch (error) {
    return error.status ?? error.statusCode ?? String(error);
  }
}

async function seen(client, wanted) {
  const pages = [];
  await client.request(wanted.search, {
    pageLimit: 0,
    onPage: (bundle) => pages.push((bundle.entry ?? []).map(({ resource }) => `${resource.resourceType}/${resource.id}`)),
  });
  const read = await client.request(wanted.read);
  return {
    context: client.patient.id,
    user: client.user.fhirUser,
    name: client.user.id === null ? null : (await client.user.read()).id,
    read: `${read.resourceType}/${read.id}`,
    absent: await statusOf(client, wanted.absent),
    pages,
  };
}

async function respond(wanted, request, response) {
  request.session = session; // where fhirclient keeps its state between the two requests
  const { pathname } = new URL(request.url, 'http://127.0.0.1');
  if (pathname === '/launch') {
    return smart(request, response).authorize({
      clientId: wanted.client, scope: wanted.scope, redirectUri: '/callback', pkceMode: 'required',
    });
  }
  const found = await seen(await smart(request, response).ready(), wanted);
  return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
}

function serve(wanted) {
  const server = createServer((request, response) => {
    respond(wanted, request, response).catch((error) => response.writeHead(500).end(String(error?.stack ?? error)));
  });
  server.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
}

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => serve(JSON.parse(line)));
lines.once('close', () => process.exit(0));
