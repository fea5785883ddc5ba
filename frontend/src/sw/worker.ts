/** What the build made, and a name that changes with it. */
declare const __FILES__: readonly string[]
declare const __BUILD__: string

/**
 * Keeps the page itself on the device, so that it opens without a network. It never touches the API: what people
 * wrote is kept by the page, and cleared by it.
 */
const CACHE = `chat-${__BUILD__}`
const PAGE = '/'
const BRAND = '/brand.css'
const LOGO = '/favicon.svg'
const worker = self as unknown as ServiceWorkerGlobalScope

worker.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then(async (cache) => {
        await cache.addAll([PAGE, ...__FILES__])
        // There only where the server has a brand.
        await cache.add(BRAND).catch(() => {})
      })
      .then(() => worker.skipWaiting()),
  )
})

worker.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => worker.clients.claim()),
  )
})

/** The addresses of the app; all others that are opened go to the server. */
const isOurs = (path: string) => path === '/' || path === '/signup' || /^\/[cu]\/\d+$/.test(path)

worker.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== worker.location.origin) return
  if (request.mode === 'navigate' && isOurs(url.pathname)) {
    // The network first: a new version is shown as soon as there is one.
    event.respondWith(
      fetch(request).catch(async () => (await caches.match(PAGE, { cacheName: CACHE })) ?? Response.error()),
    )
  } else if (url.pathname === BRAND || url.pathname === LOGO) {
    // Whoever runs the server may change them at any time, and then this worker is another one too.
    event.respondWith(
      fetch(request).catch(
        async () => (await caches.match(request, { cacheName: CACHE })) ?? Response.error(),
      ),
    )
  } else if (url.pathname.startsWith('/assets/')) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)))
  }
})
