// An OpenID Provider for tests: `oidc-provider` (certified) with the people of fhir-samples, SMART launches and scripted logins.
//
// Input: one line of JSON on standard input,
//   {resource, people: {name: claims}, lifetime_s, backend_jwks, gateway_secret}
// Output: `ready http://127.0.0.1:PORT` once it serves. It ends when standard input closes.
//
// Nobody types a password: who logs in is named by `login_hint`, or by the handle of an EHR launch, `person` or `person@patient`.
// POST /control/keys/publish    a second signing key appears in the JWKS, and signs nothing yet
// POST /control/keys/switch     the newest key signs
// POST /control/keys/retire     all keys but the signing one disappear
// GET  /control/heard           how often each path was asked for
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import * as jose from 'jose';
import { Provider, errors } from 'oidc-provider';

const TYPES = ['*', 'Patient', 'Observation', 'Condition', 'DocumentReference', 'Practitioner', 'RelatedPerson'];
const PERMISSIONS = ['rs', 'r', 's', 'cruds', 'read', '*'];
const IDENTITY = ['openid', 'fhirUser', 'offline_access'];
const LAUNCH = ['launch', 'launch/patient'];
const IN_ACCESS_TOKEN = ['patient', 'user', 'system'].flatMap((level) =>
  TYPES.flatMap((type) => PERMISSIONS.map((permissions) => `${level}/${type}.${permissions}`)));
const TOKEN_MEMBERS = new Set(['iss', 'sub', 'aud', 'client_id', 'jti', 'scope', 'fhirUser', 'patient']);

const shelves = new Map();

/** What the provider keeps, in memory, and longer than one instance of it: a rotation makes a new one. */
class Shelf {
  constructor(model) {
    if (!shelves.has(model)) shelves.set(model, new Map());
    this.kept = shelves.get(model);
  }
  async upsert(id, payload) { this.kept.set(id, payload); }
  async find(id) { return this.kept.get(id); }
  async findByUid(uid) { return [...this.kept.values()].find((one) => one.uid === uid); }
  async consume(id) { this.kept.get(id).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { this.kept.delete(id); }
  async revokeByGrantId(grant) {
    for (const [id, one] of this.kept) if (one.grantId === grant) this.kept.delete(id);
  }
}

function smartApp(client_id) {
  return {
    client_id,
    application_type: 'native', // loopback redirects, whatever the port (RFC 8252 section 7.3)
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['http://127.0.0.1/callback'],
  };
}

function backend(client_id, jwks) {
  return {
    client_id,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES384', // SMART Backend Services: RS384 or ES384
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    jwks,
  };
}

function clientsOf(given) {
  return [
    smartApp('smart-app'),
    smartApp('smart-app-opaque'),
    backend('backend', given.backend_jwks),
    backend('backend-opaque', given.backend_jwks),
    {
      client_id: 'gateway',
      client_secret: given.gateway_secret,
      grant_types: [],
      response_types: [],
      redirect_uris: [],
    },
  ];
}

/** The launch contexts (SMART "launch context arrives with your access token") by grant. */
const launched = new Map();

function peopleOf(given) {
  const byAccount = new Map(Object.values(given.people).map((claims) => [claims.sub, claims]));
  return {
    named(handle) {
      const [name, patient] = (handle ?? '').split('@');
      const claims = given.people[name];
      return claims && { account: claims.sub, patient: patient ?? claims.patient };
    },
    fhirUser: (account) => `${given.resource}/${byAccount.get(account).fhirUser}`,
    extra: (account) => Object.fromEntries(
      Object.entries(byAccount.get(account)).filter(([name]) => !TOKEN_MEMBERS.has(name))),
  };
}

function handleOf(params) {
  return params.launch ?? params.login_hint;
}

/** Everything that was asked for is granted, afresh at every authorization: a launch context belongs to one of them. */
async function granted(ctx, people) {
  const { client, session, params, resourceServers, provider } = ctx.oidc;
  if (!session.accountId) return undefined;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope([...IDENTITY, ...LAUNCH].join(' '));
  for (const indicator of Object.keys(resourceServers)) grant.addResourceScope(indicator, params.scope);
  const id = await grant.save();
  launched.set(id, { patient: people.named(handleOf(params))?.patient });
  return grant;
}

function claimsOf(token, people) {
  if (token.kind === 'ClientCredentials') {
    const purpose = { system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'TREAT' };
    return { extensions: { ihe_iua: { purpose_of_use: [purpose] } } };
  }
  const { patient } = launched.get(token.grantId) ?? {};
  const context = patient === undefined ? {} : { patient };
  return { ...people.extra(token.accountId), fhirUser: people.fhirUser(token.accountId), ...context };
}

function configurationOf(given, keys) {
  const people = peopleOf(given);
  return {
    adapter: Shelf,
    clients: clientsOf(given),
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256'],
      clientAuthSigningAlgValues: ['ES384'],
      dPoPSigningAlgValues: ['ES256'],
    },
    scopes: [...IDENTITY, ...LAUNCH],
    claims: { openid: ['sub'], fhirUser: ['fhirUser'] },
    conformIdTokenClaims: false, // SMART: `fhirUser` stands in the id token
    pkce: { required: () => true },
    ttl: { AccessToken: given.lifetime_s, ClientCredentials: given.lifetime_s },
    extraParams: {
      launch: null,
      aud: (_ctx, asked) => { // SMART: the FHIR base that the app means to use
        if (asked !== undefined && asked !== given.resource) throw new errors.InvalidTarget('unknown aud');
      },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, account) => ({
      accountId: account,
      claims: () => ({ sub: account, fhirUser: people.fhirUser(account) }),
    }),
    loadExistingGrant: (ctx) => granted(ctx, people),
    extraTokenClaims: (_ctx, token) => claimsOf(token, people),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx, client) => client.clientId === 'gateway',
      },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => oneOf ?? given.resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, indicator, client) => {
          if (![given.resource, given.elsewhere].includes(indicator)) throw new errors.InvalidTarget();
          return {
            audience: indicator,
            scope: [...LAUNCH, ...IN_ACCESS_TOKEN].join(' '),
            accessTokenFormat: client.clientId.endsWith('-opaque') ? 'opaque' : 'jwt',
            jwt: { sign: { alg: 'ES256' } },
          };
        },
      },
    },
  };
}

/** SMART: the token response itself tells the launch context. */
async function withLaunchContext(ctx, next) {
  await next();
  const grant = ctx.oidc?.entities.AccessToken?.grantId;
  if (ctx.oidc?.route === 'token' && ctx.status === 200 && grant !== undefined) {
    ctx.body = { ...ctx.body, ...launched.get(grant), need_patient_banner: true };
  }
}

async function newKey(number) {
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), kid: `key-${number}`, use: 'sig', alg: 'ES256' };
}

/** The provider in force and its keys, the signing one first. A step of the rotation puts a new provider in its place. */
class Rotation {
  constructor(issuer, given) {
    Object.assign(this, { issuer, given, keys: [], made: 0 });
  }
  async publish() { return this.install([...this.keys, await newKey((this.made += 1))]); }
  switch() { return this.install([...this.keys].reverse()); }
  retire() { return this.install(this.keys.slice(0, 1)); }
  install(keys) {
    const provider = new Provider(this.issuer, configurationOf(this.given, keys));
    provider.use(withLaunchContext);
    provider.on('server_error', (_ctx, error) => console.error(error));
    Object.assign(this, { keys, provider, answer: provider.callback() });
  }
}

async function logIn(rotation, request, response) {
  const { params } = await rotation.provider.interactionDetails(request, response);
  const person = peopleOf(rotation.given).named(handleOf(params));
  if (person === undefined) return response.writeHead(403).end('nobody of this name');
  const result = { login: { accountId: person.account }, consent: {} };
  return rotation.provider.interactionFinished(request, response, result);
}

async function control(rotation, request, response) {
  const step = new URL(request.url, rotation.issuer).pathname.split('/').at(-1);
  if (request.method !== 'POST' || !['publish', 'switch', 'retire'].includes(step)) return response.writeHead(404).end();
  await rotation[step]();
  return response.writeHead(204).end();
}

const heard = {};

async function respond(rotation, request, response) {
  const { pathname } = new URL(request.url, rotation.issuer);
  heard[pathname] = (heard[pathname] ?? 0) + 1;
  if (pathname === '/control/heard') return response.writeHead(200).end(JSON.stringify(heard));
  if (request.url.startsWith('/control/keys/')) return control(rotation, request, response);
  if (request.url.startsWith('/interaction/')) return logIn(rotation, request, response);
  return rotation.answer(request, response);
}

function serve(given) {
  let rotation;
  const server = createServer((request, response) => {
    respond(rotation, request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1', async () => {
    rotation = new Rotation(`http://127.0.0.1:${server.address().port}`, given);
    await rotation.publish();
    console.log(`ready ${rotation.issuer}`);
  });
}

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => serve(JSON.parse(line)));
lines.once('close', () => process.exit(0));
