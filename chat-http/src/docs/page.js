// Shows openapi.json and lets one try it. Everything from the document or the server becomes text nodes, never markup.
const main = document.getElementById('main')
const token = document.getElementById('token')
let document_

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ''))
  return node
}

// `so` in the text is code.
const rich = (text = '') => text.split('`').map((part, at) => (at % 2 ? el('code', {}, part) : part))
const paragraphs = (text = '') => text.split('\n\n').map((part) => el('p', { class: 'quiet' }, ...rich(part)))
const refName = (schema) => schema?.$ref?.split('/').pop()
const resolve = (schema) => (schema?.$ref ? document_.components.schemas[refName(schema)] : (schema ?? {}))

function typeOf(schema) {
  if (!schema) return ''
  if (schema.$ref) return refName(schema)
  const many = schema.oneOf ?? schema.anyOf
  if (many) return many.map(typeOf).join(' or ')
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`
  const types = [schema.type ?? 'any'].flat().join(' or ')
  return schema.format && !/^u?int/.test(schema.format) ? `${types} (${schema.format})` : types
}

function example(schema, depth = 0) {
  const known = resolve(schema)
  if (known.example !== undefined) return known.example
  if (known.allOf) return Object.assign({}, ...known.allOf.map((one) => example(one, depth)))
  if (known.enum) return known.enum[0]
  if (known.oneOf) return example(known.oneOf.find((one) => one.type !== 'null'), depth)
  const type = [known.type].flat().find((one) => one !== 'null')
  if (type === 'array') return depth > 3 ? [] : [example(known.items, depth + 1)]
  if (known.properties) {
    return Object.fromEntries(Object.entries(known.properties).map(([name, value]) => [name, example(value, depth + 1)]))
  }
  return { string: known.format === 'password' ? 'secret' : 'text', integer: known.minimum ?? 0, number: 0, boolean: false }[type] ?? null
}

function fields(schema) {
  const known = resolve(schema)
  const rows = Object.entries(known.properties ?? {}).map(([name, value]) =>
    el('tr', {}, el('td', {}, name), el('td', {}, typeOf(value)), el('td', {}, ...rich(value.description ?? resolve(value).description))),
  )
  return rows.length ? el('table', {}, el('tbody', {}, ...rows)) : el('p', {}, typeOf(known))
}

function body(content) {
  return Object.entries(content ?? {}).flatMap(([media, { schema }]) => {
    if (media === 'application/problem+json') return []
    const json = media === 'application/json' ? el('pre', {}, JSON.stringify(example(schema), null, 2)) : null
    return [el('p', { class: 'quiet' }, `${media}: ${typeOf(schema)}`), json]
  })
}

function parameters(operation) {
  const rows = (operation.parameters ?? []).map(({ name, in: place, required, schema, description }) =>
    el('tr', {}, el('td', {}, name), el('td', {}, `${place}${required ? '' : ', optional'}`), el('td', {}, typeOf(schema)), el('td', {}, ...rich(description))),
  )
  return rows.length ? [el('h3', {}, 'Parameters'), el('table', {}, el('tbody', {}, ...rows))] : []
}

function responses(operation) {
  const rows = Object.entries(operation.responses).map(([status, response]) =>
    el('tr', {}, el('td', {}, status), el('td', {}, ...rich(response.description), ...body(response.content))),
  )
  return el('table', {}, el('tbody', {}, ...rows))
}

// The page stands beside the API: paths are relative to it, wherever a host has mounted it.
const url = (path) => new URL(`.${path}`, location.href)

function trial(path, method, operation) {
  const parameters = operation.parameters ?? []
  const inputs = parameters.map((parameter) => {
    const attributes = { name: parameter.name, autocomplete: 'off' }
    if (parameter.required) attributes.required = ''
    return [parameter, el('input', attributes)]
  })
  const schema = operation.requestBody?.content?.['application/json']?.schema
  const text = schema ? el('textarea', { 'aria-label': 'Body', spellcheck: 'false' }) : null
  if (text) text.value = JSON.stringify(example(schema), null, 2)
  const answer = el('div', { 'aria-live': 'polite' })
  const form = el(
    'form',
    {},
    el('h3', {}, 'Try it'),
    ...inputs.map(([parameter, input]) => el('label', {}, `${parameter.name} (${parameter.in})`, input)),
    text,
    el('div', { class: 'row' }, el('button', { type: 'submit' }, 'Send')),
    answer,
  )
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const target = url(
      inputs.reduce(
        (filled, [parameter, input]) =>
          parameter.in === 'path' ? filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value)) : filled,
        path,
      ),
    )
    for (const [parameter, input] of inputs) {
      if (parameter.in === 'query' && input.value) target.searchParams.set(parameter.name, input.value)
    }
    if (operation.tags?.includes('live')) return live(target, answer)
    const headers = {}
    if (token.value) headers.authorization = `Bearer ${token.value}`
    if (text) headers['content-type'] = 'application/json'
    const begun = performance.now()
    try {
      const response = await fetch(target, { method: method.toUpperCase(), headers, body: text?.value })
      const said = await response.text()
      const took = Math.round(performance.now() - begun)
      let shown = said
      try {
        shown = JSON.stringify(JSON.parse(said), null, 2)
      } catch {
        // Not JSON: as it came.
      }
      answer.replaceChildren(el('p', { class: 'quiet' }, `${response.status} ${response.statusText}, ${took} ms`), el('pre', {}, shown || '(no body)'))
    } catch {
      answer.replaceChildren(el('p', {}, 'The server cannot be reached.'))
    }
  })
  return form
}

function live(target, answer) {
  target.protocol = target.protocol.replace('http', 'ws')
  const socket = new WebSocket(target)
  const log = el('pre', {}, 'connecting…\n')
  const input = el('textarea', { 'aria-label': 'Frame', spellcheck: 'false' })
  input.value = JSON.stringify({ to: 2, conversation_id: null, content: 'hello', ref: 1 })
  const send = el('button', { type: 'button' }, 'Send frame')
  const close = el('button', { type: 'button' }, 'Close')
  const say = (line) => {
    // Bounded: a page that is left open must not grow.
    log.textContent = `${log.textContent}${line}\n`.slice(-20_000)
    log.scrollTop = log.scrollHeight
  }
  socket.onopen = () => say('open')
  socket.onmessage = ({ data }) => say(`← ${data}`)
  socket.onclose = ({ code, reason }) => say(`closed ${code} ${reason}`)
  send.onclick = () => {
    if (socket.readyState !== WebSocket.OPEN) return say('not open')
    socket.send(input.value)
    say(`→ ${input.value}`)
  }
  close.onclick = () => socket.close(1000)
  answer.replaceChildren(log, input, el('div', { class: 'row' }, send, ' ', close))
}

function operation(path, method, described) {
  const card = el(
    'details',
    { class: 'operation' },
    el('summary', {}, el('span', { class: `method ${method}` }, method.toUpperCase()), el('span', { class: 'path' }, path), el('span', { class: 'about' }, described.summary ?? '')),
  )
  // Filled when it is first opened.
  card.addEventListener(
    'toggle',
    () => {
      const needsLogin = described.security === undefined
      card.append(
        el(
          'div',
          { class: 'inside' },
          ...paragraphs(described.description),
          el('p', { class: 'quiet' }, needsLogin ? 'Needs a login.' : 'Needs no login.'),
          ...parameters(described),
          ...(described.requestBody ? [el('h3', {}, 'Body'), fields(described.requestBody.content['application/json'].schema)] : []),
          el('h3', {}, 'Answers'),
          responses(described),
          trial(path, method, described),
        ),
      )
    },
    { once: true },
  )
  return card
}

function schema(name, described) {
  return el(
    'details',
    { class: 'schema' },
    el('summary', {}, el('span', { class: 'path' }, name), el('span', { class: 'about' }, described.description ?? '')),
    el('div', { class: 'inside' }, fields(described), el('pre', {}, JSON.stringify(example(described), null, 2))),
  )
}

try {
  const response = await fetch(url('/openapi.json'))
  document_ = await response.json()
  document.title = document.getElementById('title').textContent = `${document_.info.title} API`
  const sections = document_.tags.map(({ name, description }) => {
    const operations = Object.entries(document_.paths).flatMap(([path, item]) =>
      Object.entries(item)
        .filter(([, described]) => described.tags?.includes(name))
        .map(([method, described]) => operation(path, method, described)),
    )
    return operations.length ? el('section', {}, el('h2', {}, name), el('p', { class: 'quiet' }, description), ...operations) : ''
  })
  const schemas = Object.entries(document_.components.schemas).map(([name, described]) => schema(name, described))
  main.replaceChildren(...paragraphs(document_.info.description), ...sections, el('section', {}, el('h2', {}, 'Types'), ...schemas))
} catch {
  main.replaceChildren(el('p', {}, 'The description cannot be loaded.'))
}
