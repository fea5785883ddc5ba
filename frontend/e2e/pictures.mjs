// The pictures of the README: a conversation in both themes, and the same on a phone. Only when they are asked for.
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { DESK, PHONE } from './person.mjs'
import { world } from './world.mjs'

const wanted = process.env.E2E_SCREENSHOT
const skip = wanted === undefined && 'no pictures were asked for'

const CODE = `Good. This is how I compute the pace:
\`\`\`
fn pace(km: f64, h: f64) -> f64 {
    h * 60.0 / km
}
\`\`\`
See you at \`platform 4\`.`

test('pictures', { skip }, async () => {
  const it = world()
  await it.begin()
  const sharp = { viewport: { ...DESK, height: 720 }, deviceScaleFactor: 2 }
  const [dora, emil, farah] = await Promise.all(
    ['Dora Lind', 'Emil Okafor', 'Farah Aziz'].map((name) => it.arrive(name, sharp)),
  )
  for (const person of [dora, emil, farah]) await person.signUp()
  await farah.find('Dora Lind')
  await farah.say('مرحبا دورا، متى نلتقي؟')
  await farah.say('The library has your book, it is yours until the 12th.')
  await dora.find('Emil Okafor')
  await dora.say('Are you coming on Saturday?')
  await emil.open('Dora Lind')
  await emil.say('Yes! The 9:40 train, if I get up in time.')
  await emil.say('Here is the map: https://example.org/maps/hike')
  await dora.type(CODE)
  await emil.sees('This is how I compute')
  await emil.act('This is how', 'React with 🎉')
  await emil.act('This is how', 'Reply')
  await emil.say('Ha, and with the cheese?')
  await dora.act('9:40 train', 'Pin')
  await dora.act('Here is the map', 'React with 👍')
  await dora.say('Then slower.')

  await dora.page.getByRole('button', { name: 'New group' }).click()
  const dialog = dora.page.getByRole('dialog')
  await dialog.getByLabel('Name of the group').fill('Slow hikers')
  for (const name of ['Emil Okafor', 'Farah Aziz']) {
    await dialog.getByLabel('Find people').fill(name)
    await dialog.getByRole('list', { name: 'People' }).getByRole('button', { name }).click()
  }
  await dialog.getByRole('button', { name: 'Create group' }).click()
  await dora.page.getByRole('heading', { name: 'Slow hikers', level: 2 }).waitFor()
  await dora.say('Welcome, both of you!')
  await dora.page.getByRole('link', { name: /^Emil Okafor/ }).click()
  await dora.message('Then slower.').getByLabel('Read', { exact: true }).waitFor()

  const phone = await it.arrive('Dora Lind', {
    viewport: PHONE,
    hasTouch: true,
    isMobile: true,
    deviceScaleFactor: 2,
  })
  await phone.logIn()
  await phone.page.getByRole('link', { name: /^Emil Okafor/ }).click()
  await phone.sees('Then slower.')
  const folder = dirname(wanted)
  for (const [colorScheme, end] of [
    ['light', ''],
    ['dark', '-dark'],
  ]) {
    await dora.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await phone.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await dora.page.screenshot({ path: join(folder, `screenshot${end}.png`) })
    await phone.page.screenshot({ path: join(folder, `screenshot-phone${end}.png`) })
  }
  await it.leave()
  await it.end()
})
