// People chat in real browsers with the real server, which is stopped and started in between.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PHONE } from './person.mjs'
import { worldOfTests } from './world.mjs'

const it = worldOfTests()

test('people find each other, chat, reload, and outlive a restart of the server', async () => {
  const [anna, ben, clara] = await it.signUp('anna', 'ben', 'clara')
  const everybody = [anna, ben, clara]

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
  assert.equal(await anna.page.title(), '(1) Chat')
  await anna.seesExactly(said)
  await ben.seesExactly(said)

  await anna.page.reload()
  await anna.seesExactly(said)
  await says(ben, anna, 'What is the weather going to be?')

  // The server goes, in an orderly way and then as if the power was cut, and comes back with the same data; nobody
  // touches the pages. What is written meanwhile waits.
  const outage = async (ends, text) => {
    for (const person of everybody) person.expectOutage = true
    await ends()
    for (const person of everybody) await person.page.getByText('Reconnecting').waitFor()
    await anna.type(text)
    await anna.message(text).getByLabel('Sending').waitFor()
    await it.restart()
    for (const person of everybody) await person.page.getByText('Reconnecting').waitFor({ state: 'hidden' })
    for (const person of everybody) person.expectOutage = false
    said.push(text)
    await ben.sees(text)
  }
  await outage(async () => assert.equal(await it.server.stop(), 0), 'Dry until four, they say.')
  await outage(() => it.server.kill(), 'But bring a coat.')
  await says(ben, anna, 'Then we start early.')

  await Promise.all([anna.page.reload(), ben.page.reload()])
  await anna.seesExactly(said)
  await ben.seesExactly(said)
  await anna.listed('clara').getByText('1 unread').waitFor()

  await it.leave()
})

test('two tabs and a phone of one person agree; what is written offline is sent once, in order', async () => {
  const [dora, emil] = await it.signUp('dora', 'emil')
  await dora.find('emil')
  await dora.say('one')
  const phone = await it.arrive('dora', { viewport: PHONE, hasTouch: true, isMobile: true })
  await phone.logIn()
  await phone.open('emil')
  await phone.sees('one')
  const tab = it.meet(await dora.secondTab())
  await tab.page.goto(dora.page.url())
  await tab.sees('one')

  // Offline: both tabs write, the page is loaded again without a network, and a draft is kept.
  await dora.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
  tab.expectOutage = true
  await dora.offline()
  await dora.type('two')
  await dora.message('two').getByLabel('Sending').waitFor()
  await tab.sees('two')
  await tab.type('three')
  await tab.message('three').getByLabel('Sending').waitFor()
  await dora.composer.fill('a draft that stays')
  await dora.keeps(({ drafts }) => drafts.some(({ text }) => text === 'a draft that stays'))
  await dora.page.reload()
  await dora.seesExactly(['one', 'two', 'three'])
  assert.equal(await dora.composer.inputValue(), 'a draft that stays')
  assert.equal(await emil.listed('dora').getByText('3 unread').count(), 0)

  await dora.online()
  await emil.listed('dora').getByText('3 unread').waitFor()
  await emil.open('dora')
  const all = ['one', 'two', 'three']
  for (const person of [emil, dora, tab, phone]) await person.seesExactly(all)
  tab.expectOutage = false

  // Logging out would lose the draft, which is asked about also in the tab that it was not written in; a mistaken click
  // loses nothing. Then it ends in all tabs, and leaves nothing on the device.
  const leaves = async () => {
    await tab.page.getByRole('button', { name: 'Log out' }).click()
    await tab.page.getByText('Not sent yet: 1 draft.').waitFor()
  }
  await tab.page.getByRole('button', { name: 'Menu', exact: true }).click()
  await tab.page.getByRole('menuitem', { name: 'Settings' }).click()
  await leaves()
  await tab.page.keyboard.press('Escape')
  await tab.page.getByRole('heading', { name: 'Log out and lose' }).waitFor({ state: 'hidden' })
  assert.equal(await dora.composer.inputValue(), 'a draft that stays')
  await dora.keeps(({ drafts }) => drafts.some(({ text }) => text === 'a draft that stays'))
  await leaves()
  await tab.page.getByRole('dialog').last().getByRole('button', { name: 'Log out' }).click()
  await dora.page.getByRole('heading', { name: 'Welcome back' }).waitFor()
  await tab.page.getByRole('heading', { name: 'Welcome back' }).waitFor()
  await dora.keeps((kept) => Object.values(kept).every((store) => store.length === 0))
  assert.equal(await dora.page.evaluate(() => localStorage.getItem('chat.user')), null)
  await it.leave()
})

test('messages are edited, deleted, answered, reacted to and pinned, on every device', async () => {
  const [fay, gus] = await it.signUp('fay', 'gus')
  await fay.find('gus')
  await fay.say('the first')
  await gus.open('fay')
  const other = await it.arrive('fay')
  await other.logIn()
  await other.open('gus')

  // ArrowUp edits the last one.
  await fay.composer.press('ArrowUp')
  assert.equal(await fay.composer.inputValue(), 'the first')
  await fay.composer.fill('the first, mended')
  await fay.composer.press('Enter')
  for (const person of [fay, gus, other])
    await person.message('the first, mended').getByText('edited').waitFor()

  // Two devices edit the same message: the later one is told, and chooses.
  await fay.act('the first, mended', 'Edit')
  await other.act('the first, mended', 'Edit')
  await fay.type('from the laptop')
  await gus.sees('from the laptop')
  await other.composer.fill('from the phone')
  await other.composer.press('Enter')
  await other.page.getByText('changed on another device').waitFor()
  await other.page.getByRole('button', { name: 'Save mine' }).click()
  for (const person of [fay, gus, other]) await person.sees('from the phone')

  // A reply shows what it answers, and leads there.
  await gus.act('from the phone', 'Reply')
  await gus.say('an answer')
  await fay.message('an answer').getByRole('button', { name: 'from the phone' }).waitFor()

  // A reaction is put on and taken off; the count is the same everywhere.
  await gus.act('from the phone', 'React with 👍')
  for (const person of [fay, gus, other]) await person.page.getByRole('button', { name: '👍, 1' }).waitFor()
  await fay.page.getByRole('button', { name: '👍, 1' }).click()
  for (const person of [fay, gus, other]) await person.page.getByRole('button', { name: '👍, 2' }).waitFor()
  // After a reload nobody tells whose they are; pressing still turns one's own round.
  await gus.page.reload()
  await gus.page.getByRole('button', { name: '👍, 2' }).click()
  await fay.page.getByRole('button', { name: '👍, 1' }).waitFor()

  await gus.act('an answer', 'Pin')
  await fay.page.getByRole('button', { name: 'Pinned an answer' }).waitFor()
  await fay.page.getByRole('button', { name: 'Pinned an answer' }).click()

  await gus.act('an answer', 'Delete')
  await gus.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await fay.sees('Message deleted')
  await fay.gone('an answer')
  await fay.page.getByRole('button', { name: /^Pinned/ }).waitFor({ state: 'hidden' })
  await it.leave()
})

test('groups: made, renamed, mentioned in, roles given, people added, removed and gone', async () => {
  const [hal, ida, jon] = await it.signUp('hal', 'ida', 'jon')
  await hal.page.getByRole('button', { name: 'New group' }).click()
  const dialog = hal.page.getByRole('dialog')
  await dialog.getByLabel('Name of the group').fill('Hikers')
  await dialog.getByLabel('Find people').fill('ida')
  await dialog.getByRole('list', { name: 'People' }).getByRole('button', { name: 'ida' }).click()
  await dialog.getByRole('button', { name: 'Create group' }).click()
  await hal.page.getByRole('heading', { name: 'Hikers', level: 2 }).waitFor()
  await ida.open('Hikers')

  await hal.composer.pressSequentially('see you @id')
  await hal.page.getByRole('option', { name: 'ida' }).waitFor()
  await hal.composer.press('Enter')
  await hal.composer.press('Enter')
  await ida.message('see you @ida').waitFor()

  await hal.menu('Group info')
  await dialog.getByRole('button', { name: 'Rename' }).click()
  await dialog.getByLabel('Name of the group').fill('Slow hikers')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await ida.page.getByRole('heading', { name: 'Slow hikers', level: 2 }).waitFor()
  await hal.sees('You created the group with ida')
  await ida.sees('hal named the group “Slow hikers”')
  await dialog.getByRole('button', { name: 'Add people' }).click()
  await dialog.getByLabel('Find people').fill('jon')
  await dialog.getByRole('list', { name: 'People' }).getByRole('button', { name: 'jon' }).click()
  await dialog.getByRole('button', { name: 'Add', exact: true }).click()
  await dialog.getByRole('list', { name: 'Members' }).getByText('jon').waitFor()
  await ida.sees('hal added jon')
  // Who comes later reads it from the log.
  await ida.page.reload()
  await ida.sees('hal created the group with you')
  await ida.sees('hal added jon')
  await dialog.getByRole('button', { name: 'Actions for ida' }).click()
  await hal.page.getByRole('menuitem', { name: 'Make an admin' }).click()
  await dialog.getByText('Admin').waitFor()
  await hal.isAccessible('group info')
  await hal.page.keyboard.press('Escape')

  await jon.open('Slow hikers')
  await jon.sees('see you @ida')
  await jon.say('hello all')
  // An admin removes: the removed one reads on what there was, and writes no more.
  await ida.menu('Group info')
  await ida.page.getByRole('button', { name: 'Actions for jon' }).click()
  await ida.page.getByRole('menuitem', { name: 'Remove from the group' }).click()
  await jon.page.getByText('You are no longer a member of this group.').waitFor()
  await jon.sees('hello all')
  await ida.page.keyboard.press('Escape')
  await ida.menu('Leave group')
  await ida.page.getByRole('dialog').getByRole('button', { name: 'Leave group' }).click()
  await hal.page.getByText('1 member').waitFor()
  await it.leave()
})

test('markup stays text, links are safe, and words from right to left stand right', async () => {
  const [kim, lea] = await it.signUp('kim', 'lea')
  await kim.find('lea')
  const markup = '<img src=x onerror="document.title=1"><script>alert(1)</script> <b>no</b>'
  await kim.say(markup)
  await lea.open('kim')
  await lea.sees(markup)
  assert.equal(await lea.log.locator('img, script, b').count(), 0)

  await kim.type('javascript:alert(1) data:text/html,x https://example.org/a_(b). **strong**')
  await lea.sees('data:text/html')
  const links = lea.log.locator('a')
  assert.deepEqual(await links.evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target])), [
    ['https://example.org/a_(b)', 'noopener noreferrer nofollow', '_blank'],
  ])
  assert.equal(await lea.log.locator('strong').innerText(), 'strong')

  await kim.say('مرحبا بالعالم 123!')
  await lea.sees('مرحبا')
  const direction = await lea
    .message('مرحبا')
    .locator('[data-anchor]')
    .evaluate((element) => getComputedStyle(element).direction)
  assert.equal(direction, 'rtl')
  await it.leave()
})

test('mute, archive, block and clear hold on every device', async () => {
  const [max, nia] = await it.signUp('max', 'nia')
  await max.find('nia')
  await max.say('hello')
  await nia.open('max')
  const other = await it.arrive('max')
  await other.logIn()
  await other.open('nia')

  await max.menu('Mute')
  await other.listed('nia').getByLabel('Muted').waitFor()
  await max.menu('Archive')
  await other.page.getByRole('button', { name: 'Archived' }).waitFor()
  await other.page.getByRole('button', { name: 'Archived' }).click()
  await other.listed('nia').waitFor()
  await max.menu('Take out of the archive')
  await max.listed('nia').waitFor()

  await max.menu('Block')
  await max.page.getByRole('dialog').getByRole('button', { name: 'Block' }).click()
  await other.page.getByText('You have blocked nia.').waitFor()
  await nia.type('can you hear me?')
  await nia.page.getByText('Not sent:').waitFor()
  // Refused is not lost: once it is let through, one press sends it, once.
  await max.page.getByRole('button', { name: 'Unblock' }).click()
  await max.composer.waitFor()
  await nia.page.getByRole('button', { name: 'Retry' }).click()
  await max.seesExactly(['hello', 'can you hear me?'])
  await nia.seesExactly(['hello', 'can you hear me?'])

  await max.menu('Clear and hide')
  await max.page.getByRole('dialog').getByRole('button', { name: 'Clear and hide' }).click()
  await max.page.getByText('No conversations yet').waitFor()
  await other.page.getByText('No conversations yet').waitFor()
  await nia.seesExactly(['hello', 'can you hear me?'])
  await it.leave()
})

test('typing, presence and read marks are seen, and a count that was read is gone on every device', async () => {
  const [sam, tia] = await it.signUp('sam', 'tia')
  await sam.find('tia')
  await sam.say('are you there?')
  await tia.listed('sam').getByText('1 unread').waitFor()
  const other = await it.arrive('tia')
  await other.logIn()
  await other.listed('sam').getByText('1 unread').waitFor()
  await sam.message('are you there?').getByLabel('Delivered').waitFor()

  await tia.open('sam')
  await sam.message('are you there?').getByLabel('Read', { exact: true }).waitFor()
  await other.listed('sam').getByText('1 unread').waitFor({ state: 'hidden' })

  await tia.composer.pressSequentially('ye')
  await sam.page.getByRole('banner').or(sam.page.locator('header')).getByText('typing…').first().waitFor()
  await tia.composer.pressSequentially('s')
  await tia.composer.press('Enter')
  await sam.sees('yes')
  await sam.page.locator('header').getByText('typing…').waitFor({ state: 'hidden' })

  await sam.page.locator('header').getByText('online').waitFor()
  await tia.page.context().close()
  await other.page.context().close()
  await sam.page.locator('header').getByText('online').waitFor({ state: 'hidden' })
  await it.leave()
})

test('words are found in one conversation and in all, and lead to their message', async (context) => {
  const [uma, vic] = await it.signUp('uma', 'vic')
  if (!(await uma.offers('search'))) {
    await it.leave()
    return context.skip('this server does not search messages')
  }
  await uma.find('vic')
  await uma.say('the lighthouse at noon')
  const id = Number(new URL(uma.page.url()).pathname.split('/').at(-1))
  await it.server.fill(uma.page, id, 150)
  await uma.say('bring <b>a lamp</b>')

  // Over all, by keyboard alone: the hit is shown in its place, far from the end.
  const all = uma.page.getByRole('searchbox', { name: 'Search people and messages' })
  await all.fill('LIGHT')
  const found = uma.page.getByRole('list', { name: 'Messages found' })
  await found.getByText('the lighthouse at noon').waitFor()
  assert.deepEqual(await found.locator('mark').allInnerTexts(), ['light'])
  await uma.isAccessible('search')
  await all.press('ArrowDown')
  await uma.page.keyboard.press('Enter')
  await uma.page.waitForURL(/m=\d+/)
  await uma.message('the lighthouse at noon').waitFor()
  await uma.page.getByRole('button', { name: 'Jump to latest' }).click()
  await uma.page.getByRole('button', { name: 'Clear search' }).click()

  // In one conversation, page after page; markup stays text.
  await vic.open('uma')
  await vic.page.keyboard.press('Control+Shift+f')
  const one = vic.page.getByRole('searchbox', { name: 'Search in uma' })
  await one.fill('lamp')
  const hits = vic.page.getByRole('list', { name: 'Messages found' })
  await hits.getByText('bring <b>a lamp</b>').waitFor()
  await one.fill('some words')
  await hits.locator('li').nth(19).waitFor()
  await vic.page.getByRole('button', { name: 'More' }).click()
  await hits.locator('li').nth(20).waitFor()
  await one.fill('nothing like it')
  await vic.page.getByText('No message here says that.').waitFor()

  // What is deleted is found no more; a stranger finds nothing; on a phone the hit takes the screen.
  await uma.act('a lamp', 'Delete')
  await uma.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await one.fill('lamp')
  await vic.page.getByText('No message here says that.').waitFor()
  const [eve] = await it.signUp('eve')
  await eve.page.getByRole('searchbox').fill('lighthouse')
  await eve.page.getByText('Nothing is found for “lighthouse”.').waitFor()
  const phone = await it.arrive('vic', { viewport: PHONE, hasTouch: true, isMobile: true })
  await phone.logIn()
  await phone.open('uma')
  await phone.page.getByRole('button', { name: 'Search in this conversation' }).click()
  await phone.page.getByRole('searchbox', { name: 'Search in uma' }).fill('noon')
  await phone.page.getByRole('list', { name: 'Messages found' }).getByRole('button').click()
  await phone.message('the lighthouse at noon').waitFor()
  await it.leave()
})

test('the whole of it in Arabic, from right to left', async () => {
  const [wim, xia] = await it.signUp('wim', 'xia')
  await wim.find('xia')
  await wim.say('hello')
  await xia.open('wim')
  await wim.page.getByRole('button', { name: 'Menu', exact: true }).click()
  await wim.page.getByRole('menuitem', { name: 'Settings' }).click()
  await wim.page.getByText('العربية').click()
  await wim.page.getByRole('textbox', { name: 'رسالة' }).waitFor()
  assert.equal(await wim.page.evaluate(() => document.documentElement.dir), 'rtl')
  await wim.isAccessible('thread in Arabic')
  await wim.page.reload()
  await wim.page.getByRole('textbox', { name: 'رسالة' }).waitFor()
  await it.leave()
})

test('a long history is read to its beginning and back without a jump', async () => {
  const [ola, pia] = await it.signUp('ola', 'pia')
  await ola.find('pia')
  await ola.say('m0.')
  // Written by the page itself, as quickly as the server allows.
  const total = 260
  const id = Number(new URL(ola.page.url()).pathname.split('/').at(-1))
  await it.server.fill(ola.page, id, total)
  await pia.open('ola')
  await pia.sees('m1.')
  await pia.page.getByRole('button', { name: 'Jump to latest' }).click()
  await pia.sees(`m${total - 1}.`)
  const steps = await pia.page.evaluate(async (last) => {
    const log = document.getElementById('log')
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    const idAt = () => {
      const top = log.getBoundingClientRect().top + 200
      return [...log.querySelectorAll('[data-anchor]')].find(
        (text) => text.getBoundingClientRect().bottom > top,
      )
    }
    let drift = 0
    let nodes = 0
    let seen = 0
    const until = performance.now() + 15_000
    while (performance.now() < until) {
      const row = idAt()
      const before = row.getBoundingClientRect().top
      const by = Math.min(120, log.scrollTop)
      log.scrollTop -= by
      await frame()
      await frame()
      if (row.isConnected) drift = Math.max(drift, Math.abs(row.getBoundingClientRect().top - before - by))
      nodes = Math.max(nodes, document.querySelectorAll('*').length)
      seen += 1
      if (log.textContent.includes('m0.') && log.scrollTop === 0) break
    }
    return { drift, nodes, seen, reached: log.textContent.includes('m0.'), last }
  }, total)
  assert.ok(steps.reached, JSON.stringify(steps))
  assert.ok(steps.drift <= 1, JSON.stringify(steps))
  assert.ok(steps.nodes <= 1_500, JSON.stringify(steps))
  await pia.page.getByRole('button', { name: 'Jump to latest' }).click()
  await pia.sees(`m${total - 1}.`)
  // An address of one message leads to it, far up.
  await pia.page.goto(`${pia.url}/c/${id}?m=4`)
  await pia.sees('m2.')
  await it.leave()
})
