import { t } from '../../lib/i18n'
import { Dialog } from '../../ui/Dialog'
import styles from './Shortcuts.module.css'

const mac = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.userAgent)
const MOD = mac ? '⌘' : 'Ctrl'

const GROUPS: readonly { name: string; keys: readonly (readonly [string, string])[] }[] = [
  {
    name: 'Everywhere',
    keys: [
      [`${MOD} K`, 'Go to a conversation'],
      [`${MOD} Shift F`, 'Search in this conversation'],
      [`${MOD} /`, 'These shortcuts'],
      ['Alt ↑', 'Conversation above'],
      ['Alt ↓', 'Conversation below'],
      ['F6', 'From the list to the messages to the text field'],
      ['Esc', 'Close, or go back'],
    ],
  },
  {
    name: 'While writing',
    keys: [
      ['Enter', 'Send'],
      ['Shift Enter', 'New line'],
      ['↑', 'Edit the last message, when the field is empty'],
      ['@', 'Mention somebody'],
      ['Esc', 'Cancel the reply or the edit'],
    ],
  },
  {
    name: 'Among the messages',
    keys: [
      ['↑ ↓', 'From message to message'],
      ['Enter', 'What can be done with it'],
      ['R', 'Reply'],
      ['E', 'Edit'],
      ['+', 'React'],
      ['Del', 'Delete'],
      ['End', 'Jump to latest'],
    ],
  },
]

export function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title={t('Keyboard shortcuts')} onClose={onClose}>
      {GROUPS.map(({ name, keys }) => (
        <section key={name} className={styles.group}>
          <h3 className={styles.name}>{t(name)}</h3>
          <dl className={styles.list}>
            {keys.map(([key, what]) => (
              <div key={key + what} className={styles.row}>
                <dt dir="ltr">
                  {key.split(' ').map((part) => (
                    <kbd key={part}>{part}</kbd>
                  ))}
                </dt>
                <dd>{t(what)}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  )
}
