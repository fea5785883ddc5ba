import { ArrowLeft, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { useServices } from '../../stores/context'
import { Avatar } from '../../ui/Avatar'
import { IconButton } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/ConfirmDialog'
import styles from './ThreadHeader.module.css'

interface Props {
  /** null while there is no conversation yet. */
  conversationId: number | null
  avatarId: number
  name: string
  onBack(): void
  onDeleted(): void
}

export function ThreadHeader({ conversationId, avatarId, name, onBack, onDeleted }: Props) {
  const { chat } = useServices()
  const [asking, setAsking] = useState(false)

  async function remove() {
    if (conversationId !== null) await chat.deleteConversation(conversationId)
    onDeleted()
  }

  return (
    <header className={styles.header}>
      <IconButton label="Back to conversations" className={styles.back ?? ''} onClick={onBack}>
        <ArrowLeft size={20} className={styles.arrow ?? ''} />
      </IconButton>
      <Avatar id={avatarId} name={name} small />
      <h2 className={`${styles.name} one-line`} dir="auto">
        {name}
      </h2>
      {conversationId !== null && (
        <IconButton label="Delete conversation" onClick={() => setAsking(true)}>
          <Trash2 size={18} />
        </IconButton>
      )}
      {asking && (
        <ConfirmDialog
          title={`Delete your conversation with ${name}?`}
          text="It leaves your list and its history is gone for you. The other side keeps theirs."
          action="Delete"
          onConfirm={remove}
          onClose={() => setAsking(false)}
        />
      )}
    </header>
  )
}
