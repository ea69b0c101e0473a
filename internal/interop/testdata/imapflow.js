// A session of imapflow, which uses CONDSTORE, QRESYNC and IDLE when offered.
//
// Usage: imapflow.js PORT MAILDIR. Silent and status 0 when all is well. INBOX
// holds messages 1 to 5; a mailbox Work is there. What happens "outside" is done
// to the Maildir itself.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
// Debian's Node 18 has it, but not under this name as later ones do.
globalThis.crypto ??= require('node:crypto').webcrypto;
const { ImapFlow } = require('imapflow');

const [port, maildir] = [Number(process.argv[2]), process.argv[3]];
const text = (subject) => `From: a@example.org\r\nSubject: ${subject}\r\n\r\nHello.\r\n`;

function connect() {
  return new ImapFlow({
    host: '127.0.0.1', port, secure: false, doSTARTTLS: false, qresync: true, logger: false,
    auth: { user: 'alice', pass: 'secret' },
  });
}

// next waits for one event of the client; register it before causing the event.
function next(client, event, wanted) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`no ${event} event in 20 s`)), 20000);
    const listen = (data) => {
      if (!wanted(data)) return;
      clearTimeout(limit);
      client.off(event, listen);
      resolve(data);
    };
    client.on(event, listen);
  });
}

function deliver(name, subject) {
  fs.writeFileSync(path.join(maildir, 'tmp', name), text(subject));
  fs.renameSync(path.join(maildir, 'tmp', name), path.join(maildir, 'new', name));
}

async function commands(c) {
  const box = await c.mailboxOpen('INBOX');
  assert.equal(box.exists, 5);
  assert.ok(!box.noModseq && box.highestModseq > 0n, 'no HIGHESTMODSEQ');
  const seen = [];
  for await (const m of c.fetch('1:3', { envelope: true, flags: true, bodyStructure: true, uid: true, size: true })) {
    assert.ok(m.modseq > 0n, 'no MODSEQ');
    assert.equal(m.envelope.from[0].name, 'Zoë');
    seen.push([m.uid, m.envelope.subject, m.bodyStructure.type]);
  }
  assert.deepEqual(seen, [[1, 'imapflow', 'text/plain'], [2, 'imapflow', 'text/plain'], [3, 'imapflow', 'multipart/mixed']]);

  // CONDSTORE: what changed since, and a STORE that must not win.
  const since = c.mailbox.highestModseq;
  await c.messageFlagsAdd('2', ['$Label1'], { uid: true });
  const changed = [];
  for await (const m of c.fetch('1:*', { flags: true, uid: true }, { changedSince: since })) changed.push([m.uid, m.flags.has('$Label1')]);
  assert.deepEqual(changed, [[2, true]]);
  await c.messageFlagsAdd('2', ['\\Flagged'], { uid: true, unchangedSince: since });
  const two = await c.fetchOne('2', { flags: true }, { uid: true });
  assert.ok(!two.flags.has('\\Flagged'), 'a STORE with an old UNCHANGEDSINCE was carried out');

  assert.deepEqual(await c.search({ subject: 'imapflow', keyword: '$Label1' }, { uid: true }), [2]);
  const status = await c.status('Work', { messages: true, uidNext: true, highestModseq: true });
  assert.equal(status.messages, 0);
  const created = await c.mailboxCreate('Flow/Kü');
  assert.ok(created.created);
  assert.ok((await c.list()).some((l) => l.path === 'Flow/Kü'));
  const copied = await c.messageCopy('1:2', 'Flow/Kü', { uid: true });
  assert.deepEqual([...copied.uidMap], [[1, 1], [2, 2]]);
  const moved = await c.messageMove('5', 'Work', { uid: true });
  assert.deepEqual([...moved.uidMap], [[5, 1]]);
  const put = await c.append('Work', text('appended'), ['\\Seen'], new Date(1700000000000));
  assert.equal(put.uid, 2);
  const body = await c.download('1', '1', { uid: true });
  let read = '';
  for await (const chunk of body.content) read += chunk;
  assert.ok(read.startsWith('This is message 1.'), read);
  await c.mailboxRename('Flow/Kü', 'Flow/other');
  await c.mailboxDelete('Flow/other');
}

// idling checks that each outside change is pushed to a client in IDLE.
async function idling(c) {
  await c.mailboxOpen('INBOX');
  const idle = c.idle();
  let event = next(c, 'exists', (d) => d.count === 5);
  deliver('1710000000.M1P9.host', 'pushed');
  await event;
  event = next(c, 'flags', (d) => d.flags.has('\\Flagged'));
  const file = fs.readdirSync(path.join(maildir, 'cur')).find((n) => n.startsWith('1700000001.'));
  fs.renameSync(path.join(maildir, 'cur', file), path.join(maildir, 'cur', file.replace(/:2,.*/, ':2,FS')));
  await event;
  // With QRESYNC an expunge is told as VANISHED, by UID.
  event = next(c, 'expunge', (d) => d.vanished && d.uid === 1);
  fs.unlinkSync(path.join(maildir, 'cur', file.replace(/:2,.*/, ':2,FS')));
  await event;
  await c.noop();
  await idle;
}

// away has changes made while no client is there, and a client that comes back
// with the MODSEQ it had: QRESYNC tells what vanished and what changed.
async function away(state) {
  const other = connect();
  await other.connect();
  await other.mailboxOpen('INBOX');
  await other.messageFlagsAdd('3', ['\\Answered'], { uid: true });
  await other.messageDelete('2', { uid: true });
  await other.logout();
  const c = connect();
  await c.connect();
  await c.mailboxOpen('Work');
  const told = { gone: [], changed: [] };
  c.on('expunge', (d) => told.gone.push(d.uid));
  const box = await c.mailboxOpen('INBOX');
  assert.ok(box.highestModseq > state.highestModseq, 'HIGHESTMODSEQ did not grow');
  for await (const m of c.fetch('1:*', { flags: true, uid: true }, { uid: true, changedSince: state.highestModseq })) told.changed.push(m.uid);
  assert.deepEqual(told, { gone: [2], changed: [3] });
  await c.logout();
}

async function main() {
  const c = connect();
  await c.connect();
  assert.ok(c.enabled.has('QRESYNC') && c.enabled.has('CONDSTORE'), `enabled: ${[...c.enabled]}`);
  await commands(c);
  await idling(c);
  const state = { highestModseq: (await c.status('INBOX', { highestModseq: true })).highestModseq };
  await c.logout();
  await away(state);
}

main().catch((e) => { console.error(e); process.exit(1); });
