// A session of node-pop3. Usage: node_pop3.js PORT PORT_TLS CERT. Silent and
// status 0 when all is well. INBOX holds messages 1 to 5.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const Pop3Command = require('node-pop3').default ?? require('node-pop3');

const [port, portTLS, cert] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const account = { user: 'alice', password: 'secret', host: 'localhost' };

async function main() {
  const p = new Pop3Command({ ...account, port, tls: false });
  const uids = (await p.UIDL()).map(([, id]) => id);
  assert.equal(new Set(uids).size, 5);
  assert.equal((await p.LIST()).length, 5);
  assert.match(await p.TOP(1, 2), /Subject: node/);
  const whole = await p.RETR(2);
  // This client leaves the dots that the protocol doubles as they are.
  assert.match(whole, /\r\n\.?\.leading dot\r\n/);
  assert.match(await p.STAT(), /^5 \d+$/);
  await p.command('DELE', 2);
  await p.QUIT();

  const q = new Pop3Command({ ...account, port: portTLS, tls: true, tlsOptions: { ca: fs.readFileSync(cert), servername: 'localhost' } });
  assert.deepEqual((await q.UIDL()).map(([, id]) => id), uids.filter((_, i) => i !== 1));
  await q.QUIT();
}

main().catch((e) => { console.error(e); process.exit(1); });
