// People chat in real browsers with the real server, which is stopped and started in between.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { Person } from './person.mjs'
import { startServer } from './server.mjs'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let folder
let server
let browser

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chat-e2e-'))
  server = await startServer(join(folder, 'chat.db'))
  // A user-data-dir of its own is what playwright gives each launch.
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  browser = await chromium.launch({ executablePath, headless: true, args: FLAGS })
})

after(async () => {
  await browser?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('people find each other, chat, reload, and outlive a restart of the server', async () => {
  const [anna, ben, clara] = await Promise.all(
    ['anna', 'ben', 'clara'].map((name) => Person.arrive(browser, name, server.url)),
  )
  const everybody = [anna, ben, clara]
  await Promise.all(everybody.map((person) => person.signUp()))

  // Live, both ways. The first message makes the conversation, which appears for the other without a reload.
  const said = []
  const says = async (speaker, listener, text) => {
    await speaker.say(text)
    said.push(text)
    await listener?.sees(text)
  }
  await anna.find('ben')
  await says(anna, null, 'Ben, are you coming on Saturday?')
  await ben.listed('anna').getByText('1 unread').waitFor()
  await ben.open('anna')
  await ben.sees(said[0])
  await says(ben, anna, 'Yes! The 9:40 train, if I get up in time.')
  await says(anna, ben, 'You will. I bring the map, you bring the cheese.')
  await says(ben, anna, '🧀 two kinds')

  // Somebody else writes meanwhile: told in the list, not in the open thread.
  await clara.find('anna')
  await clara.say('The library has your book, it is yours until the 12th.')
  await anna.listed('clara').getByText('1 unread').waitFor()
  await anna.seesExactly(said)
  await ben.seesExactly(said)

  await anna.page.reload()
  await anna.seesExactly(said)
  await says(ben, anna, 'What is the weather going to be?')

  // The server goes and comes back with the same data; nobody touches the pages.
  for (const person of everybody) person.expectOutage = true
  assert.equal(await server.stop(), 0)
  for (const person of everybody) await person.page.getByText('Reconnecting').waitFor()
  server = await startServer(join(folder, 'chat.db'), server.port)
  for (const person of everybody) await person.page.getByText('Reconnecting').waitFor({ state: 'hidden' })
  for (const person of everybody) person.expectOutage = false
  await says(anna, ben, 'Dry until four, they say.')
  await says(ben, anna, 'Then we start early.')

  await Promise.all([anna.page.reload(), ben.page.reload()])
  await anna.seesExactly(said)
  await ben.seesExactly(said)
  await anna.listed('clara').getByText('1 unread').waitFor()

  if (process.env.E2E_SCREENSHOT) await anna.page.screenshot({ path: process.env.E2E_SCREENSHOT })
  assert.deepEqual(
    everybody.flatMap((person) => person.complaints),
    [],
  )
})
