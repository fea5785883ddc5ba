// A real server with data of its own, and one browser.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before } from 'node:test'
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

/** `options` are more ones of the server, by the folder that its data is in. */
export function world(options = () => []) {
  let folder
  let browser
  let people = []
  const it = {
    server: null,
    get browser() {
      return browser
    },
    async arrive(name, options) {
      const person = await Person.arrive(browser, name, it.server.url, options)
      people.push(person)
      return person
    },
    async signUp(...names) {
      const arrived = await Promise.all(names.map((name) => it.arrive(name)))
      await Promise.all(arrived.map((person) => person.signUp()))
      return arrived
    },
    meet(person) {
      people.push(person)
      return person
    },
    restart: async () => {
      it.server = await startServer(join(folder, 'chat.db'), it.server.port, options(folder))
    },
    async begin() {
      folder = await mkdtemp(join(tmpdir(), 'chat-e2e-'))
      it.server = await startServer(join(folder, 'chat.db'), 0, options(folder))
      // A user-data-dir of its own is what playwright gives each launch.
      const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
      browser = await chromium.launch({ executablePath, headless: true, args: FLAGS })
    },
    async end() {
      await browser?.close()
      await it.server?.stop()
      await rm(folder, { recursive: true, force: true })
    },
    /** Everybody goes, and nothing was complained of. */
    async leave() {
      const complaints = people.flatMap((person) => person.complaints)
      await it.clear()
      assert.deepEqual(complaints, [])
    },
    /** Nobody of a test that failed is there in the next one. */
    async clear() {
      const gone = people
      people = []
      await Promise.all(gone.map((person) => person.page.context().close()))
    },
  }

  return it
}

/** The same, begun and ended with the tests of the file. */
export function worldOfTests(options) {
  const it = world(options)
  before(() => it.begin())
  afterEach(() => it.clear())
  after(() => it.end())
  return it
}
