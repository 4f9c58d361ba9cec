// A certified OpenID provider on the loopback address that logs everybody in without asking.
//
// Usage: node server.mjs '<settings as JSON>'; see `tests/src/provider.rs` for the settings. It prints `ready` once it listens.
// `/admin/...` counts and provokes what a test wants to see; nothing of it belongs to a provider.

import { createServer } from 'node:http';
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${settings.port}`;
const counts = {};
let account = settings.account;
let outages = {};

/// All records, shared by the instances that follow each other when keys change.
const records = new Map();

class Memory {
  constructor(model) {
    this.model = model;
  }
  key(id) {
    return `${this.model}:${id}`;
  }
  async upsert(id, payload) {
    records.set(this.key(id), payload);
  }
  async find(id) {
    const payload = records.get(this.key(id));
    return payload?.exp && payload.exp * 1000 < Date.now() ? undefined : payload;
  }
  async findByUid(uid) {
    return [...records].find(([key, value]) => key.startsWith(`${this.model}:`) && value.uid === uid)?.[1];
  }
  async findByUserCode() {
    return undefined;
  }
  async destroy(id) {
    records.delete(this.key(id));
  }
  async consume(id) {
    const payload = records.get(this.key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }
  async revokeByGrantId(grantId) {
    for (const [key, value] of records) if (value.grantId === grantId) records.delete(key);
  }
}

function newKeys() {
  // By way of PEM: exporting a key that was just generated as JWK can lock up Node 20 when garbage is collected meanwhile.
  const encoding = { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } };
  const jwk = (type, options, rest) => ({
    ...createPrivateKey(generateKeyPairSync(type, { ...options, ...encoding }).privateKey).export({ format: 'jwk' }),
    ...rest,
    kid: randomUUID(),
  });
  return [
    jwk('rsa', { modulusLength: 2048 }, { use: 'sig' }),
    jwk('ec', { namedCurve: 'P-256' }, { use: 'sig', alg: 'ES256' }),
    jwk('ed25519', {}, { use: 'sig' }),
  ];
}

function build(keys) {
  const provider = new Provider(issuer, {
    adapter: Memory,
    jwks: { keys },
    clients: [
      {
        client_id: settings.clientId,
        client_secret: settings.clientSecret ?? undefined,
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: settings.clientAuthentication,
        id_token_signed_response_alg: settings.algorithm,
        ...(settings.signedUserinfo ? { userinfo_signed_response_alg: settings.algorithm } : {}),
      },
    ],
    clientAuthMethods: [settings.clientAuthentication],
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      userinfoSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['preferred_username', 'name', 'groups'],
      groups: ['groups'],
    },
    scopes: ['openid', 'offline_access', 'groups'],
    conformIdTokenClaims: settings.claimsInUserinfoOnly,
    features: {
      devInteractions: { enabled: false },
      jwtUserinfo: { enabled: true },
      introspection: { enabled: false },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = `<!DOCTYPE html><title>Logout</title>${form}<script>document.forms[0].insertAdjacentHTML('beforeend',
            '<input type=hidden name=logout value=yes>');document.forms[0].submit()</script>`;
        },
      },
    },
    pkce: { required: () => settings.pkceRequired },
    ttl: {
      AccessToken: settings.accessTokenSeconds,
      IdToken: settings.idTokenSeconds,
      RefreshToken: settings.refreshTokenSeconds,
      Grant: 86400,
      Interaction: 600,
      Session: 86400,
    },
    rotateRefreshToken: settings.rotateRefreshTokens,
    issueRefreshToken: async () => settings.refreshTokens,
    findAccount: async (ctx, id) => ({
      accountId: id,
      claims: async () => ({ ...account, sub: account.sub ?? id }),
    }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid email profile groups offline_access');
      await grant.save();
      return grant;
    },
  });
  const loopback = (uri) => ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(uri).hostname);
  provider.Client.prototype.redirectUriAllowed = loopback;
  provider.Client.prototype.postLogoutRedirectUriAllowed = loopback;
  return provider;
}

let keys = newKeys();
let provider = build(keys);
let serve = provider.callback();

const admin = {
  counts: () => counts,
  account: (body) => void (account = body),
  outage: (body) => void (outages = body),
  'new-keys': () => {
    keys = newKeys();
    provider = build(keys);
    serve = provider.callback();
  },
  revoke: () => {
    for (const key of records.keys()) if (/^(RefreshToken|AccessToken|Grant):/.test(key)) records.delete(key);
  },
};

async function read(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text && JSON.parse(text);
}

async function answer(request, response) {
  const path = new URL(request.url, issuer).pathname;
  if (path.startsWith('/admin/')) {
    const result = admin[path.slice('/admin/'.length)](await read(request));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(result ?? null));
    return;
  }
  counts[path] = (counts[path] ?? 0) + 1;
  if (outages[path]) {
    response.writeHead(outages[path], { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: 'server_error' }));
    return;
  }
  if (path.startsWith('/interaction/')) {
    const login = { accountId: settings.account.sub };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
    return;
  }
  serve(request, response);
}

// A test that was killed could not end this process.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 1000);

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500);
    response.end(String(error));
  });
});
server.listen(settings.port, '127.0.0.1', () => console.log('ready'));
