// A backend service on the real `fhir-kit-client` (npm): SMART discovery, `private_key_jwt` (SMART Backend Services), reads, searches, pages.
//
// Input: JSON on standard input, {base, client, scope, key, token, read: [type, id], absent: [type, id], search: [type, parameters], post};
// `key` is a PEM file. A given `token` is used as it stands: a person's. Output: what the client saw, as JSON.
import { readFile } from 'node:fs/promises';
import { json } from 'node:stream/consumers';
import { Client } from 'fhir-kit-client';
import * as jose from 'jose';

async function tokenFor(wanted, endpoint) {
  const key = await jose.importPKCS8(await readFile(wanted.key, 'utf-8'), 'ES384');
  const assertion = await new jose.SignJWT({})
    .setProtectedHeader({ alg: 'ES384', typ: 'JWT', kid: 'backend' })
    .setIssuer(wanted.client).setSubject(wanted.client).setAudience(endpoint)
    .setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime('5m')
    .sign(key);
  const answer = await fetch(endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: wanted.scope,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`token endpoint: ${told.error} ${told.error_description}`);
  return told.access_token;
}

async function statusOf(client, [resourceType, id]) {
  try {
    await client.read({ resourceType, id });
    return 200;
  } catch (error) {
    return error.response?.status ?? String(error);
  }
}

async function pagesOf(client, [resourceType, searchParams], postSearch) {
  const pages = [];
  let bundle = await client.search({ resourceType, searchParams, options: { postSearch } });
  while (bundle) {
    pages.push((bundle.entry ?? []).map(({ resource }) => `${resource.resourceType}/${resource.id}`));
    bundle = await client.nextPage({ bundle });
  }
  return pages;
}

const wanted = await json(process.stdin);
const client = new Client({ baseUrl: wanted.base });
const endpoints = await client.smartAuthMetadata();
client.bearerToken = wanted.token ?? (await tokenFor(wanted, String(endpoints.tokenUrl)));
const [resourceType, id] = wanted.read;
const read = await client.read({ resourceType, id });
console.log(JSON.stringify({
  endpoints: { authorize: endpoints.authorizeUrl, token: endpoints.tokenUrl },
  read: `${read.resourceType}/${read.id}`,
  absent: await statusOf(client, wanted.absent),
  pages: await pagesOf(client, wanted.search, wanted.post ?? false),
}));
