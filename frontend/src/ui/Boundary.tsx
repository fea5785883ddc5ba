import { Component, type ReactNode } from 'react'

interface Props {
  /** Drawn in the place of what cannot be drawn. */
  instead: ReactNode
  /** When it is another thing, that is tried anew. */
  of?: unknown
  children: ReactNode
}

/** A fault inside ends here: what stands around it goes on. */
export class Boundary extends Component<Props, { failed: boolean; of: unknown }> {
  override state = { failed: false, of: this.props.of }

  static getDerivedStateFromError() {
    return { failed: true }
  }

  static getDerivedStateFromProps({ of }: Props, state: { of: unknown }) {
    return of === state.of ? null : { failed: false, of }
  }

  override render() {
    return this.state.failed ? this.props.instead : this.props.children
  }
}
