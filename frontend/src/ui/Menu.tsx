import { type ReactNode, useEffect, useLayoutEffect, useRef } from 'react'
import { arrowFocus } from '../lib/arrowFocus'
import styles from './Menu.module.css'

/** Where a menu comes out of: an element's box, or the point that was pressed. */
export interface Origin {
  x: number
  y: number
  /** Height of what must not be covered. */
  height: number
  /** The menu's end is at `x`. */
  fromEnd: boolean
  /** A finger that came before the menu is still down: lifting it is no touch beside the menu. */
  held?: boolean
}

export function originOf(element: Element): Origin {
  const box = element.getBoundingClientRect()
  const rtl = getComputedStyle(element).direction === 'rtl'
  return { x: rtl ? box.left : box.right, y: box.top, height: box.height, fromEnd: !rtl }
}

const EDGE = 8
/** What the browser takes to close what it closes for a lifted finger. */
const LIFTED_MS = 100

interface Props {
  label: string
  origin: Origin
  onClose(): void
  children: ReactNode
  role?: 'menu' | 'dialog'
}

/** A popover in the top layer: a click beside it or Escape closes it, and the focus goes back to where it was. */
export function Menu({ label, origin, onClose, children, role = 'menu' }: Props) {
  const element = useRef<HTMLDivElement>(null)
  const close = useRef(onClose)
  close.current = onClose

  // Picking something takes the menu away with the focus in it: it goes back to where it was.
  useLayoutEffect(() => {
    const back = document.activeElement
    return () => {
      if (back instanceof HTMLElement && element.current?.contains(document.activeElement)) back.focus()
    }
  }, [])

  useLayoutEffect(() => {
    const menu = element.current
    if (!menu) return
    menu.showPopover?.()
    const place = () => {
      const { offsetWidth: width, offsetHeight: height } = menu
      const left = origin.fromEnd ? origin.x - width : origin.x
      const below = origin.y + origin.height + 4
      const top = below + height > innerHeight - EDGE ? origin.y - height - 4 : below
      menu.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`
      menu.style.top = `${Math.max(EDGE, Math.min(top, innerHeight - height - EDGE))}px`
      if (!menu.contains(document.activeElement)) menu.querySelector<HTMLElement>('button')?.focus()
    }
    place()
    // What is inside may still be on its way.
    const sizes = new ResizeObserver(place)
    sizes.observe(menu)
    return () => sizes.disconnect()
  }, [origin])

  useEffect(() => {
    const menu = element.current
    let held = origin.held === true
    const toggled = (event: Event) => {
      if ((event as ToggleEvent).newState !== 'closed') return
      if (held && menu?.isConnected) menu.showPopover()
      else close.current()
    }
    const lifted = () => setTimeout(() => (held = false), LIFTED_MS)
    menu?.addEventListener('toggle', toggled)
    addEventListener('pointerup', lifted, { once: true })
    return () => {
      held = false
      removeEventListener('pointerup', lifted)
      menu?.removeEventListener('toggle', toggled)
      if (menu?.matches(':popover-open')) menu.hidePopover()
    }
  }, [origin])

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useAriaPropsSupportedByRole: it has one of two roles
    <div
      ref={element}
      popover="auto"
      className={styles.menu}
      role={role}
      aria-label={label}
      onKeyDown={(event) => {
        if (arrowFocus(event.key, event.currentTarget)) event.preventDefault()
        if (event.key === 'Tab') onClose()
        event.stopPropagation()
      }}
    >
      {children}
    </div>
  )
}

interface ItemProps {
  icon?: ReactNode
  danger?: boolean
  onPick(): void
  children: ReactNode
}

export function MenuItem({ icon, danger = false, onPick, children }: ItemProps) {
  return (
    <button type="button" role="menuitem" className={styles.item} data-danger={danger} onClick={onPick}>
      {icon}
      {children}
    </button>
  )
}

export const MenuLine = () => <hr className={styles.line} />
