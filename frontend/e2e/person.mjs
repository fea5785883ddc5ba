// One person at a browser of their own.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const PASSWORD = 'correct horse battery'
/** How long anything may take that is expected to happen; reached only by failures. */
const PATIENCE_MS = 20_000
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const DESK = { width: 1280, height: 800 }
export const PHONE = { width: 390, height: 844 }

export class Person {
  /** What the console complained of without being expected to. */
  complaints = []
  /** Set while the server or the network is meant to be away. */
  expectOutage = false
  /** Set while something is meant to be broken. */
  expectFault = false

  constructor(name, page, url) {
    this.name = name
    this.page = page
    this.url = url
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('pageerror', (error) => this.expectFault || this.complaints.push(`${name}: ${error}`))
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return
      if (!this.#expects(message))
        this.complaints.push(`${name}: ${message.text()} (${message.location().url})`)
    })
  }

  static async arrive(browser, name, url, options = {}) {
    const context = await browser.newContext({
      viewport: DESK,
      locale: 'en-GB',
      reducedMotion: 'reduce',
      ...options,
    })
    return new Person(name, await context.newPage(), url)
  }

  /** Another tab of the same browser. */
  async secondTab() {
    return new Person(this.name, await this.page.context().newPage(), this.url)
  }

  // The browser itself notes every answer from 400 on and every failed connection; two of them are as they should be.
  #expects(message) {
    const asksWhoIAm = message.location().url === `${this.url}/v1/session`
    if (asksWhoIAm && message.text().includes('401')) return true
    if (this.expectFault && /^(Screen fault|Service Worker registration blocked)/.test(message.text()))
      return true
    return (
      this.expectOutage &&
      /ERR_CONNECTION|ERR_INTERNET|ERR_FAILED|WebSocket connection to/.test(message.text())
    )
  }

  get composer() {
    return this.page.getByRole('textbox', { name: 'Message', exact: true })
  }

  get log() {
    return this.page.getByRole('log', { name: 'Messages' })
  }

  async signUp() {
    await this.page.goto(`${this.url}/signup`)
    await this.page.getByLabel('Username').fill(this.name)
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await this.page.getByRole('button', { name: 'Create account' }).click()
    await this.page.getByText('No conversations yet').waitFor()
  }

  async logIn() {
    await this.page.goto(this.url)
    await this.page.getByLabel('Username').fill(this.name)
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await this.page.getByRole('button', { name: 'Log in' }).click()
    await this.page.getByRole('searchbox').waitFor()
  }

  async find(name) {
    await this.page.getByRole('searchbox', { name: 'Search people and messages' }).fill(name)
    await this.page.getByRole('list', { name: 'People' }).getByRole('button', { name }).click()
    await this.page.getByRole('heading', { name, level: 2 }).waitFor()
  }

  /** The conversation with somebody in the list, opened. */
  async open(name) {
    await this.listed(name).click()
    await this.page.getByRole('heading', { name, level: 2 }).waitFor()
  }

  listed(name) {
    const list = this.page.getByRole('navigation', { name: 'Conversations' })
    return list.getByRole('link', { name })
  }

  async type(text) {
    await this.composer.fill(text)
    await this.composer.press('Enter')
  }

  async say(text) {
    await this.type(text)
    await this.message(text)
      .getByLabel(/^(Sent|Delivered|Read)$/)
      .waitFor()
  }

  message(text) {
    return this.log.locator('ol > li').filter({ hasText: text })
  }

  sees(text) {
    return this.message(text).first().waitFor()
  }

  async gone(text) {
    await this.message(text).waitFor({ state: 'hidden' })
  }

  /** Picks from a message's own menu. */
  async act(text, action) {
    await this.log
      .locator('[data-anchor]')
      .filter({ hasText: text })
      .click({ button: 'right', position: { x: 4, y: 8 } })
    await this.page.getByRole('menuitem', { name: action, exact: true }).click()
  }

  /** Picks from the menu of the conversation that is open. */
  async menu(action) {
    await this.page.getByRole('button', { name: 'Conversation menu' }).click()
    await this.page.getByRole('menuitem', { name: action, exact: true }).click()
  }

  /** These texts are shown, each once, in this order, and nothing else. */
  async seesExactly(texts) {
    await this.sees(texts.at(-1))
    const shown = await this.log.locator('ol > li:has([data-anchor])').allInnerTexts()
    assert.deepEqual(
      shown.map((row) => texts.find((text) => row.includes(text)) ?? row),
      texts,
    )
  }

  /** What the server's hello says that it can do. */
  offers(feature) {
    return this.page.evaluate(
      (feature) =>
        new Promise((resolve) => {
          const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`, 'chat.v1')
          socket.onmessage = ({ data }) => {
            socket.close()
            resolve(JSON.parse(data).body.features.includes(feature))
          }
        }),
      feature,
    )
  }

  /** All that is kept on the device, by store. */
  kept() {
    return this.page.evaluate(async () => {
      const found = {}
      const asked = (request) =>
        new Promise((resolve) => {
          request.onsuccess = () => resolve(request.result)
        })
      for (const { name } of await indexedDB.databases()) {
        const db = await asked(indexedDB.open(name))
        for (const store of db.objectStoreNames)
          found[store] = [
            ...(found[store] ?? []),
            ...(await asked(db.transaction(store).objectStore(store).getAll())),
          ]
        db.close()
      }
      return found
    })
  }

  /** Waits until what is kept on the device is as wished. */
  async keeps(wish) {
    const until = Date.now() + PATIENCE_MS
    for (;;) {
      const kept = await this.kept()
      if (wish(kept)) return
      if (Date.now() > until) throw new Error(`kept instead: ${JSON.stringify(kept).slice(0, 2_000)}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async offline() {
    this.expectOutage = true
    await this.page.context().setOffline(true)
    await this.page.getByText('You are offline').waitFor()
  }

  async online() {
    await this.page.context().setOffline(false)
    await this.page.getByText('You are offline').waitFor({ state: 'hidden' })
    this.expectOutage = false
  }

  /** The same screen, or part of it, in both themes. */
  async isAccessibleInBoth(screen, part) {
    for (const colorScheme of ['light', 'dark']) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await this.isAccessible(`${screen}, ${colorScheme}`, part)
    }
  }

  /** Opens a window from the account's own menu. */
  async account(action) {
    await this.page.getByRole('button', { name: 'Menu', exact: true }).click()
    await this.page.getByRole('menuitem', { name: action }).click()
  }

  /** Nothing on the screen that WCAG 2.2 AA forbids, as far as a program can see. */
  async isAccessible(screen, part = 'html') {
    await this.page.evaluate(axe)
    const violations = await this.page.evaluate(async (part) => {
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
      const { violations } = await globalThis.axe.run(part, { runOnly: tags })
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`,
      )
    }, part)
    assert.deepEqual(violations, [], screen)
  }
}
