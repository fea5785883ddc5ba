// All of it without a pointer: every step is a key, pressed where the focus is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { worldOfTests } from './world.mjs'

const it = worldOfTests()

/** Goes on by Tab until something by that name has the focus: it is in the order, and nothing holds the focus fast. */
async function tabTo(page, name, key = 'Tab') {
  for (let steps = 0; steps < 60; steps += 1) {
    const here = await page.evaluate(() => {
      const at = document.activeElement
      const label = at?.labels?.[0]?.textContent ?? ''
      const text = at?.matches('button, a') ? at.textContent : ''
      return `${at?.getAttribute('aria-label') ?? ''} ${label} ${text}`
    })
    if (here.includes(name)) return
    await page.keyboard.press(key)
  }
  throw new Error(`no ${key} leads to ${name}`)
}

test('from signing up to logging out by keys alone', async () => {
  const [lou] = await it.signUp('lou')
  const moe = await it.arrive('moe')
  const { page } = moe
  const { keyboard } = page

  // Sign up.
  await page.goto(moe.url)
  await page.getByRole('heading', { name: 'Welcome back' }).waitFor()
  await tabTo(page, 'Sign up')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Create your account' }).waitFor()
  await tabTo(page, 'Username')
  await keyboard.type('moe')
  await tabTo(page, 'Password')
  await keyboard.type('correct horse battery')
  await keyboard.press('Enter')
  await page.getByText('No conversations yet').waitFor()

  // Somebody is found by name, and written to.
  await tabTo(page, 'Search people')
  await keyboard.type('lou')
  await page.getByRole('list', { name: 'People' }).waitFor()
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'lou', level: 2 }).waitFor()
  await focused(page, 'textarea')
  await keyboard.type('hello by keys')
  await keyboard.press('Enter')
  await lou.open('moe')
  await lou.sees('hello by keys')
  await lou.say('hello back')
  await moe.sees('hello back')

  // Edit one's last, then to the messages: reply, react, delete.
  await keyboard.press('ArrowUp')
  await page.getByRole('button', { name: 'Cancel the edit' }).waitFor()
  await keyboard.type(', mended')
  await keyboard.press('Enter')
  await lou.sees('hello by keys, mended')
  await focused(page, 'textarea')
  await keyboard.press('Shift+F6')
  await focused(page, '#log')
  await keyboard.press('ArrowUp')
  await keyboard.press('r')
  await page.getByRole('button', { name: 'Cancel the reply' }).waitFor()
  await keyboard.type('an answer')
  await keyboard.press('Enter')
  await lou.message('an answer').getByRole('button', { name: 'hello back' }).waitFor()
  await keyboard.press('Shift+F6')
  await keyboard.press('ArrowUp')
  await keyboard.press('ArrowUp')
  await keyboard.press('Enter')
  await page.getByRole('menu').waitFor()
  await keyboard.press('Enter')
  await lou.page.getByRole('button', { name: '👍, 1' }).waitFor()
  await focused(page, '[data-id]')
  await keyboard.press('ArrowDown')
  await keyboard.press('Delete')
  await page.getByRole('heading', { name: 'Delete this message?' }).waitFor()
  await tabTo(page, 'Delete')
  await keyboard.press('Enter')
  await lou.sees('Message deleted')

  // A group.
  await keyboard.press('F6')
  await keyboard.press('F6')
  await tabTo(page, 'New group', 'Shift+Tab')
  await keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await tabTo(page, 'Name of the group')
  await keyboard.type('Key club')
  await tabTo(page, 'Find people')
  await keyboard.type('lou')
  await page.getByRole('list', { name: 'People' }).getByRole('button').waitFor()
  await keyboard.press('Enter')
  await page.getByRole('button', { name: 'Take lou off' }).waitFor()
  await tabTo(page, 'Create group')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Key club', level: 2 }).waitFor()
  await focused(page, 'textarea')
  await keyboard.type('see @lo')
  await page.getByRole('option', { name: 'lou' }).waitFor()
  await keyboard.press('Enter')
  await keyboard.press('Enter')
  await lou.listed('Key club').getByLabel('You are mentioned').waitFor()

  // From one to the other, the sheet of shortcuts, and the theme.
  await keyboard.press('Control+k')
  await page.getByRole('combobox').waitFor()
  await keyboard.type('lou')
  await page.getByRole('option', { name: 'lou' }).first().waitFor()
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'lou', level: 2 }).waitFor()
  await keyboard.press('Alt+ArrowUp')
  await page.getByRole('heading', { name: 'Key club', level: 2 }).waitFor()
  await keyboard.press('Control+/')
  await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor()
  await keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await focused(page, 'textarea')
  await keyboard.type('a draft')
  await tabTo(page, 'Menu', 'Shift+Tab')
  await keyboard.press('Enter')
  await page.getByRole('menu').waitFor()
  await keyboard.press('ArrowDown')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Settings' }).waitFor()
  await tabTo(page, 'System')
  await keyboard.press('ArrowRight')
  await keyboard.press('ArrowRight')
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark')

  // Out: asked first, and a second thought is possible.
  await tabTo(page, 'Log out')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Log out and lose' }).waitFor()
  await keyboard.press('Escape')
  await page.getByRole('heading', { name: 'Log out and lose' }).waitFor({ state: 'hidden' })
  await tabTo(page, 'Log out')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Log out and lose' }).waitFor()
  await keyboard.press('Tab')
  await tabTo(page, 'Log out')
  await keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Welcome back' }).waitFor()
  await it.leave()
})

/** Waits until what has the focus is that, or inside of it. */
const focused = (page, selector) =>
  page.waitForFunction((selector) => document.activeElement?.closest(selector) !== null, selector)
