// Leads what Node's fetch, http and https send to the proxy of pytest-llmops; only Node 24 can do so itself.
'use strict';
const http = require('http');
const https = require('https');
const net = require('net');
const tls = require('tls');

const proxy = URL.canParse?.(process.env.HTTP_PROXY) ? new URL(process.env.HTTP_PROXY) : undefined;

function isProxy(host, port) {
  return host === proxy.hostname && String(port) === proxy.port;
}

function leadFetch() {
  const symbol = Symbol.for('undici.globalDispatcher.1');
  void globalThis.Headers; // loads what sets the dispatcher
  const agent = globalThis[symbol];
  if (!agent) return;
  globalThis[symbol] = new Proxy(agent, {
    get(target, name) {
      if (name !== 'dispatch') {
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return (options, handler) => {
        const url = new URL(options.origin);
        if (isProxy(url.hostname, url.port)) return target.dispatch(options, handler);
        const path = `/llmops/${proxy.username || '0'}/${url.protocol.slice(0, -1)}/${url.host}${options.path}`;
        return target.dispatch({ ...options, origin: proxy.protocol + '//' + proxy.host, path }, handler);
      };
    },
  });
}

function leadAgent(agent, isSecure) {
  const direct = agent.prototype.createConnection;
  agent.prototype.createConnection = function (options, done) {
    const { host, port } = options;
    if (typeof done !== 'function' || options.socketPath || isProxy(host, port)) {
      return direct.apply(this, arguments);
    }
    const credentials = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');
    const authority = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
    http
      .request({
        method: 'CONNECT',
        path: authority,
        headers: { host: authority, ...(proxy.username && { 'proxy-authorization': `Basic ${credentials}` }) },
        createConnection: () => net.connect(Number(proxy.port), proxy.hostname),
      })
      .once('connect', (_, socket) => done(null, isSecure ? tls.connect({ ...options, socket }) : socket))
      .once('error', done)
      .end();
    return undefined;
  };
}

if (proxy) {
  leadFetch();
  leadAgent(http.Agent, false);
  leadAgent(https.Agent, true);
}
