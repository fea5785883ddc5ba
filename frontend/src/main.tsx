import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app/App'
import { FaultBoundary, logFault } from './app/Fault'
import { createServices } from './app/services'
import { ServicesContext } from './stores/context'
import { registerWorker } from './sw/register'
import './styles/tokens.css'
import './styles/base.css'

const root = document.getElementById('root')
if (!root) throw new Error('#root is missing')

createRoot(root, { onCaughtError: logFault }).render(
  <StrictMode>
    <FaultBoundary>
      <ServicesContext value={createServices()}>
        <App />
      </ServicesContext>
    </FaultBoundary>
  </StrictMode>,
)

registerWorker()
