// One person at a browser of their own.
import assert from 'node:assert/strict'

const PASSWORD = 'correct horse battery'
/** How long anything may take that is expected to happen; reached only by failures. */
const PATIENCE_MS = 20_000

export class Person {
  /** What the console complained of without being expected to. */
  complaints = []
  /** Set while the server is meant to be away. */
  expectOutage = false

  constructor(name, page, url) {
    this.name = name
    this.page = page
    this.url = url
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('pageerror', (error) => this.complaints.push(`${name}: ${error}`))
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return
      if (!this.#expects(message))
        this.complaints.push(`${name}: ${message.text()} (${message.location().url})`)
    })
  }

  static async arrive(browser, name, url) {
    const context = await browser.newContext({
      viewport: { width: 1024, height: 640 },
      deviceScaleFactor: 2,
      locale: 'en-GB',
      reducedMotion: 'reduce',
    })
    return new Person(name, await context.newPage(), url)
  }

  // The browser itself notes every answer from 400 on and every failed connection; two of them are as they should be.
  #expects(message) {
    const asksWhoIAm = message.location().url === `${this.url}/v1/session`
    if (asksWhoIAm && message.text().includes('401')) return true
    return this.expectOutage && /ERR_CONNECTION_REFUSED|WebSocket connection to/.test(message.text())
  }

  get composer() {
    return this.page.getByRole('textbox', { name: 'Message' })
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

  async find(name) {
    await this.page.getByRole('searchbox', { name: 'Find people' }).fill(name)
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

  async say(text) {
    await this.composer.fill(text)
    await this.composer.press('Enter')
    await this.message(text).getByLabel('Sent').waitFor()
  }

  message(text) {
    return this.log.getByRole('listitem').filter({ hasText: text })
  }

  sees(text) {
    return this.message(text).waitFor()
  }

  /** These texts are shown, each once, in this order, and nothing else. */
  async seesExactly(texts) {
    await this.sees(texts.at(-1))
    const rows = await this.log.getByRole('listitem').allInnerTexts()
    const shown = rows.filter((row) => /\d\d:\d\d/.test(row))
    assert.deepEqual(
      shown.map((row) => texts.find((text) => row.includes(text)) ?? row),
      texts,
    )
  }
}
