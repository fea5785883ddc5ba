import { readFileSync } from 'node:fs'

// What the page loads before anything is asked of it: as the page itself names it, whatever the chunks are called.
const page = readFileSync(new URL('dist/index.html', import.meta.url), 'utf8')
const first = [...page.matchAll(/assets\/[\w.-]+\.js/g)].map(([name]) => `dist/${name}`)

export default [
  { name: 'JavaScript at first (goal 100 kB)', path: first, limit: '105 kB', gzip: true },
  { name: 'All JavaScript', path: 'dist/assets/*.js', limit: '140 kB', gzip: true },
  { name: 'All CSS', path: 'dist/assets/*.css', limit: '12 kB', gzip: true },
]
