import { Copy, Link, Pencil, Pin, PinOff, Plus, Reply, Trash2 } from 'lucide-react'
import { t } from '../../lib/i18n'
import { useServices } from '../../stores/context'
import type { ThreadMessage } from '../../stores/ranges'
import { Menu, MenuItem, MenuLine, type Origin } from '../../ui/Menu'
import styles from './MessageMenu.module.css'

export const QUICK = ['👍', '❤️', '😂', '😮', '😢', '🎉']

/** What somebody may do in this conversation. */
export interface Rights {
  write: boolean
  pin: boolean
  deleteOthers: boolean
}

interface Props {
  message: ThreadMessage
  own: boolean
  pinned: boolean
  rights: Rights
  origin: Origin
  onClose(): void
  onReact(emoji: string): void
  onMoreEmoji(): void
  onReply(): void
  onEdit(): void
  onDelete(): void
}

export function MessageMenu(props: Props) {
  const { message, own, pinned, rights, onClose } = props
  const { actions, toasts } = useServices()
  const { conversation, id } = message

  const then = (work: () => void) => () => {
    onClose()
    work()
  }

  async function copy(text: string) {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      toasts.show(t('The browser does not let this page copy.'))
    }
  }

  return (
    <Menu label={t('Message')} origin={props.origin} onClose={onClose}>
      {rights.write && !message.deleted && (
        <>
          <div className={styles.quick}>
            {QUICK.map((emoji) => (
              <button
                key={emoji}
                type="button"
                role="menuitem"
                aria-label={t('React with {emoji}', { emoji })}
                data-on={message.mine?.includes(emoji) === true}
                onClick={then(() => props.onReact(emoji))}
              >
                {emoji}
              </button>
            ))}
            <button
              type="button"
              role="menuitem"
              aria-label={t('Other reactions')}
              onClick={then(props.onMoreEmoji)}
            >
              <Plus size={17} aria-hidden />
            </button>
          </div>
          <MenuLine />
          <MenuItem icon={<Reply size={17} className="mirrored" />} onPick={then(props.onReply)}>
            {t('Reply')}
          </MenuItem>
        </>
      )}
      {!message.deleted && (
        <MenuItem icon={<Copy size={17} />} onPick={then(() => copy(message.text ?? ''))}>
          {t('Copy text')}
        </MenuItem>
      )}
      <MenuItem
        icon={<Link size={17} />}
        onPick={then(() => copy(`${location.origin}/c/${conversation}?m=${id}`))}
      >
        {t('Copy link')}
      </MenuItem>
      {rights.write && own && !message.deleted && (
        <MenuItem icon={<Pencil size={17} />} onPick={then(props.onEdit)}>
          {t('Edit')}
        </MenuItem>
      )}
      {rights.pin && !message.deleted && (
        <MenuItem
          icon={pinned ? <PinOff size={17} /> : <Pin size={17} />}
          onPick={then(() => void actions.tried('pin', { conversation, message: id, on: !pinned }))}
        >
          {pinned ? t('Unpin') : t('Pin')}
        </MenuItem>
      )}
      {rights.write && (own || rights.deleteOthers) && !message.deleted && (
        <MenuItem icon={<Trash2 size={17} />} danger onPick={then(props.onDelete)}>
          {t('Delete')}
        </MenuItem>
      )}
    </Menu>
  )
}
