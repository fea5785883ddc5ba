// The server with a name, a colour and a logo of its operator's.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { worldOfTests } from './world.mjs'

const NAME = 'Lynx & <b>Sons</b>'
// Hardly to be read on white.
const TOML = `name = '${NAME}'\naccent = "#ffe600"\n`
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" rx="14" fill="#ffe600"/>
<script>document.documentElement.setAttribute('data-ran', 'yes')</script></svg>`

const it = worldOfTests((folder) => {
  const brand = join(folder, 'brand')
  mkdirSync(brand, { recursive: true })
  writeFileSync(join(brand, 'brand.toml'), TOML)
  writeFileSync(join(brand, 'logo.svg'), LOGO)
  return ['--brand', brand]
})

test('a name, a colour and a logo of the operator, readable on both themes', async () => {
  const [yan, zoe] = await Promise.all([it.arrive('yan'), it.arrive('zoe')])
  await yan.page.goto(yan.url)
  await yan.page.getByText(NAME).waitFor()
  assert.equal(await yan.page.title(), `Log in · ${NAME}`)
  const logo = yan.page.locator('form img')
  assert.equal(await logo.evaluate((image) => image.decode().then(() => image.naturalWidth)), 64)
  for (const colorScheme of ['light', 'dark']) {
    await yan.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await yan.isAccessible(`log in, ${colorScheme}`)
  }

  await yan.signUp()
  await zoe.signUp()
  assert.equal(await yan.page.title(), NAME)
  await yan.find('zoe')
  await yan.say('see https://example.org')
  await zoe.open('yan')
  await zoe.say('thanks')
  await yan.act('thanks', 'React with 👍')
  await yan.act('thanks', 'Reply')
  await yan.say('welcome')
  const accents = new Set()
  for (const colorScheme of ['light', 'dark']) {
    await yan.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await yan.isAccessible(`thread, ${colorScheme}`)
    accents.add(
      await yan.page.evaluate(() => {
        const probe = document.body.appendChild(document.createElement('i'))
        probe.style.color = 'var(--accent)'
        const { color } = getComputedStyle(probe)
        probe.remove()
        return color
      }),
    )
  }
  assert.equal(accents.size, 2)
  assert.ok(accents.has('rgb(255, 230, 0)'), 'where it can be read it stays as it is')

  // Opened by itself the logo runs nothing; that its script was stopped is no complaint.
  const bare = await it.browser.newPage()
  const answer = await bare.goto(`${it.server.url}/favicon.svg`)
  assert.match(answer.headers()['content-security-policy'], /sandbox/)
  assert.equal(await bare.evaluate(() => document.documentElement.getAttribute('data-ran')), null)
  await bare.close()

  // Without a network it is still theirs.
  await yan.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
  await yan.keeps(({ tails }) => tails.some(({ items }) => items.some(({ text }) => text === 'welcome')))
  await yan.offline()
  await yan.page.reload()
  await yan.sees('welcome')
  assert.equal(await yan.page.title(), NAME)
  await yan.online()
  await it.leave()
})
