// An OpenID provider for tests: oidc-provider with refresh tokens that are good for one use. Using one twice revokes
// everything that came from the same authorization.
//
// Prints its address as one line of JSON, and ends when its standard input does. What a test may ask of it:
//   GET  /test/counts              how many requests of each grant the token endpoint has seen
//   POST /test/delay?ms=500        answers of the token endpoint are held back so long from now on
//   POST /test/fail?status=503&times=2   the token endpoint fails before it has done anything
//   POST /test/drop?times=1        the token endpoint does its work, and its answer is lost
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const options = JSON.parse(process.argv[2] ?? '{}');
const counts = {};
let delay = 0;
let fail = { status: 0, times: 0 };
let drop = 0;

const server = createServer();
server.listen(options.port ?? 0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const redirects = ['http://127.0.0.1/oauth/callback'];
  const code = { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: redirects };
  const none = { redirect_uris: [], response_types: [] };
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'web', client_secret: 'web-secret-0123456789', application_type: 'native', ...code,
        token_endpoint_auth_method: 'client_secret_basic' },
      { client_id: 'public', application_type: 'native', ...code, token_endpoint_auth_method: 'none' },
      { client_id: 'machine', client_secret: 'machine-secret-0123456789', grant_types: ['client_credentials'], ...none,
        token_endpoint_auth_method: 'client_secret_post' },
      { client_id: 'signer', grant_types: ['client_credentials'], ...none, token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: options.algorithm, jwks: { keys: options.keys ?? [] } },
      { client_id: 'television', grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        ...none, token_endpoint_auth_method: 'none', application_type: 'native' },
    ].filter((one) => one.client_id !== 'signer' || options.keys),
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
    },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    ttl: { AccessToken: options.life ?? 3600, ClientCredentials: options.life ?? 3600, DeviceCode: 600 },
    cookies: { keys: ['a key of tests'] },
    conformIdTokenClaims: false,
  });
  provider.use(async (context, next) => {
    const { method, path, query } = context;
    if (path === '/test/counts') {
      context.body = counts;
    } else if (path === '/test/delay') {
      delay = Number(query.ms);
      context.body = {};
    } else if (path === '/test/fail') {
      fail = { status: Number(query.status), times: Number(query.times) };
      context.body = {};
    } else if (path === '/test/drop') {
      drop = Number(query.times);
      context.body = {};
    } else if (path === '/token' && method === 'POST') {
      counts.all = (counts.all ?? 0) + 1;
      if (fail.times > 0) {
        fail.times -= 1;
        context.status = fail.status;
        context.body = 'out of order';
        return;
      }
      await next();
      const grant = context.oidc?.params?.grant_type ?? 'unknown';
      counts[grant] = (counts[grant] ?? 0) + 1;
      await new Promise((resolve) => { setTimeout(resolve, delay); });
      if (drop > 0) {
        drop -= 1;
        context.respond = false;
        context.req.socket.destroy();
      }
    } else {
      await next();
    }
  });
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ url: issuer })}\n`);
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
