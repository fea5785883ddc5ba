import { render, screen } from '@testing-library/react'
import { expect, test, vi } from 'vitest'
import { Boundary } from './Boundary'

function Part({ of }: { of: number }) {
  if (of === 2) throw new Error('a fault')
  return <p>part {of}</p>
}

const draw = (of: number) => (
  <>
    <p>around</p>
    <Boundary of={of} instead={<p>not shown</p>}>
      <Part of={of} />
    </Boundary>
  </>
)

test('a fault ends at its part, and another thing in its place is drawn again', () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const { rerender } = render(draw(1))
  screen.getByText('part 1')
  rerender(draw(2))
  screen.getByText('not shown')
  screen.getByText('around')
  rerender(draw(3))
  screen.getByText('part 3')
  expect(screen.queryByText('not shown')).toBeNull()
})
