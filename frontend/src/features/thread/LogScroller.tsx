import { Component, createRef, type KeyboardEvent, type ReactNode } from 'react'

interface Props {
  className: string
  label: string
  children: ReactNode
  hasNewer: boolean
  /** Another value takes the reader to the end: something of their own was sent. */
  endKey: string
  onAtEnd(atEnd: boolean): void
  onNearTop(): void
  onNearEnd(): void
  /** Some of what is before the reader's eyes came there. */
  onLook(): void
  onKeyDown(event: KeyboardEvent<HTMLElement>): void
}

/** Where an element stood on screen before the DOM changed. */
interface Anchor {
  element: Element
  top: number
}

const AT_END_PX = 40
const NEAR_PX = 800
/** A pause shorter than this is part of one scrolling. */
const REST_MS = 1_000
const LOOK_MS = 250

/**
 * Keeps the reader's place. A class, because only `getSnapshotBeforeUpdate` runs right before the DOM
 * changes: measured there, what the eye rests on is put back to the pixel, whatever came above it.
 */
export class LogScroller extends Component<Props, object, Anchor | 'end' | null> {
  private readonly box = createRef<HTMLDivElement>()
  private atEnd = true
  private sizes: ResizeObserver | null = null
  private rest: ReturnType<typeof setTimeout> | undefined
  private look: ReturnType<typeof setTimeout> | undefined

  override componentDidMount() {
    this.toEnd()
    this.props.onAtEnd(true)
    this.sizes = new ResizeObserver(() => {
      if (this.atEnd && !this.props.hasNewer) this.toEnd()
      this.measure()
    })
    const box = this.box.current
    if (box) {
      this.sizes.observe(box)
      if (box.firstElementChild) this.sizes.observe(box.firstElementChild)
    }
  }

  override componentWillUnmount() {
    this.sizes?.disconnect()
    clearTimeout(this.rest)
    clearTimeout(this.look)
  }

  override getSnapshotBeforeUpdate(before: Props): Anchor | 'end' | null {
    if (this.props.endKey !== before.endKey || (this.atEnd && !before.hasNewer && !this.props.hasNewer))
      return 'end'
    const box = this.box.current
    if (!box) return null
    const edge = box.getBoundingClientRect().top
    for (const element of box.querySelectorAll('[data-anchor]')) {
      const { top, bottom } = element.getBoundingClientRect()
      if (bottom > edge) return { element, top }
    }
    return null
  }

  override componentDidUpdate(_before: Props, _state: object, anchor: Anchor | 'end' | null) {
    const box = this.box.current
    if (anchor === 'end') this.toEnd()
    else if (anchor?.element.isConnected && box) {
      const drift = anchor.element.getBoundingClientRect().top - anchor.top
      if (drift !== 0) box.scrollTop += drift
    }
    this.measure()
  }

  toEnd() {
    const box = this.box.current
    if (box) box.scrollTop = box.scrollHeight
  }

  /** Puts a row in the middle, or at the top; false when it is not drawn. */
  show(selector: string, at: 'center' | 'start'): boolean {
    const row = this.box.current?.querySelector(selector)
    row?.scrollIntoView({ block: at })
    this.measure()
    return row != null
  }

  /** The last row whose end is in sight; null when there is none. */
  lastSeen(): Element | null {
    const box = this.box.current
    if (!box || box.clientHeight === 0) return null
    const edge = box.getBoundingClientRect().bottom + 1
    const rows = [...box.querySelectorAll('[data-id]')]
    return rows.findLast((row) => row.getBoundingClientRect().bottom <= edge) ?? null
  }

  private measure = () => {
    const box = this.box.current
    // While another pane has the screen there is neither a top nor an end to be near to.
    if (!box || box.clientHeight === 0) return
    const below = box.scrollHeight - box.scrollTop - box.clientHeight
    const atEnd = below < AT_END_PX
    if (atEnd !== this.atEnd) {
      this.atEnd = atEnd
      this.props.onAtEnd(atEnd)
    }
    if (box.scrollTop < NEAR_PX) this.props.onNearTop()
    if (below < NEAR_PX) this.props.onNearEnd()
  }

  private scrolled = () => {
    this.measure()
    this.look ??= setTimeout(() => {
      this.look = undefined
      this.props.onLook()
    }, LOOK_MS)
    const box = this.box.current
    // At the end nobody asks of which day it is, and new messages scroll too.
    if (this.atEnd) return
    box?.toggleAttribute('data-scrolling', true)
    clearTimeout(this.rest)
    this.rest = setTimeout(() => box?.removeAttribute('data-scrolling'), REST_MS)
  }

  override render() {
    return (
      <div
        ref={this.box}
        id="log"
        className={this.props.className}
        role="log"
        aria-label={this.props.label}
        // New messages are told by the one announcer: a log that speaks would repeat whole pages.
        aria-live="off"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        onScroll={this.scrolled}
        onKeyDown={this.props.onKeyDown}
      >
        {this.props.children}
      </div>
    )
  }
}
