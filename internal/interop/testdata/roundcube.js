// A hand and an eye in front of Roundcube: it does in a browser what it is told
// and answers with the sharing table that the page shows then.
//
// Usage: roundcube.js URL. Each line of standard input is a step, a JSON array:
//
//	["login", USER]
//	["folder", MAILBOX]                      the folder's settings, loaded anew;
//	                                         the page that Roundcube has in a frame
//	["add", USER, RIGHT...]                  read, write, delete, other
//	["edit", USER, RIGHT...]                 exactly these rights from now on
//	["remove", USER]
//
// Each gets one line: {"rows": ["USER read write ..."]}, in which a right that
// is there in part has a ~ before it, or {"error": TEXT}. All ends with the input.
'use strict';
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const url = process.argv[2];

const steps = {
  async login(page, user) {
    await page.goto(url);
    await page.fill('#rcmloginuser', user);
    await page.fill('#rcmloginpwd', 'secret');
    await page.click('#rcmloginsubmit');
    await page.waitForSelector('#messagelist tbody tr');
  },
  async folder(page, mailbox) {
    await page.goto(`${url}/?_task=settings&_action=edit-folder&_mbox=${encodeURIComponent(mailbox)}`);
    await page.waitForFunction(() => window.rcmail && window.rcmail.commands['acl-create']);
    await page.locator('legend', { hasText: 'Sharing' }).waitFor();
    await page.waitForSelector('#acltable thead', { state: 'visible' });
  },
  async add(page, user, ...rights) {
    await page.evaluate(() => window.rcmail.command('acl-create'));
    await page.fill('.ui-dialog #acluser', user);
    await save(page, rights);
  },
  async edit(page, user, ...rights) {
    await row(page, user).locator('td.user').click();
    await page.evaluate(() => window.rcmail.command('acl-edit'));
    await save(page, rights);
  },
  async remove(page, user) {
    await row(page, user).locator('td.user').click();
    await page.evaluate(() => window.rcmail.command('acl-delete'));
    await page.click('.ui-dialog button:has-text("Delete")');
    await row(page, user).waitFor({ state: 'detached' });
  },
};

function row(page, user) {
  return page.locator(`#acltable tbody tr[data-userid="${user}"]`);
}

// save ticks these boxes and no others, and waits until the server has answered.
async function save(page, rights) {
  const dialog = page.locator('.ui-dialog:has(#simplerights)');
  for (const right of ['read', 'write', 'delete', 'other']) {
    await dialog.locator(`#acl${right}`).setChecked(rights.includes(right), { force: true });
  }
  await dialog.locator('button:has-text("Save")').click();
  await dialog.waitFor({ state: 'detached' });
}

// table reads what a person sees: names as text, and of each right the mark.
function table(page) {
  return page.locator('#acltable tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => {
    if (cell.classList.contains('user')) return cell.innerText.trim();
    const right = cell.className.match(/acl(\w+)/)[1];
    if (cell.classList.contains('enabled')) return right;
    return cell.classList.contains('partial') ? `~${right}` : '';
  }).filter((word) => word).join(' ')));
}

async function main() {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
    page.setDefaultTimeout(45000);
    for await (const line of readline.createInterface({ input: process.stdin })) {
      const [step, ...args] = JSON.parse(line);
      let answer;
      try {
        await steps[step](page, ...args);
        answer = { rows: await table(page) };
      } catch (e) {
        answer = { error: `${e}\n${await page.innerText('body')}` };
      }
      console.log(JSON.stringify(answer));
    }
  } finally {
    await browser.close();
  }
}

main().catch((e) => { console.error(e); process.exit(1); });
