/**
 * A network that fails on command: a TCP proxy on loopback between a node and PostgreSQL. It reads the protocol, so that it can lose
 * exactly the answer to a COMMIT, and not the COMMIT. Over TLS it could only cut, so it refuses that to the client.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import { commandTagOf, createFrameReader, statementOf } from './_postgres_frames.ts'

export type FaultyProxy = Awaited<ReturnType<typeof startFaultyProxy>>

/**
 * What is lost: of a COMMIT that never arrives nothing has happened; of one whose answer never comes back everything has.
 */
type Loss = 'request' | 'answer'

/** What the client sees of a loss: the connection ends, or nothing at all, for ever. */
type Silence = 'cut' | 'black'

type Trap = {
  loss: Loss
  silence: Silence
  /** Only of a transaction with a statement that fits this, or of such a statement outside any; undefined for any COMMIT. */
  statement: RegExp | undefined
  sprung: PromiseWithResolvers<void>
}

type Connection = {
  client: Socket
  server: Socket | undefined
  /** Nothing gets through any more, in neither direction, and nobody is told. */
  isBlack: boolean
}

/** Passes everything until told otherwise. Ends with the test. */
export async function startFaultyProxy(t: Pick<ExecutionContext, 'teardown'>, target: { port: number }) {
  const connections = new Set<Connection>()
  let isBlack = false
  let swallowed = 0
  let trap: Trap | undefined
  // Half open, because in a black network nobody learns that the other side has gone.
  const listen = () => createServer({ allowHalfOpen: true }, accept)
  let server: Server | undefined = listen().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  function accept(client: Socket) {
    const connection: Connection = { client, server: undefined, isBlack }
    connections.add(connection)
    client.on('error', () => {})
    client.on('close', () => {
      if (!connection.isBlack) cutOne(connection)
    })
    client.on('end', () => {
      if (!connection.isBlack) cutOne(connection)
    })
    client.on('data', chunk => {
      if (connection.isBlack) swallowed += chunk.length
    })
    if (!isBlack) forward(connection)
  }

  function forward(connection: Connection) {
    const { client } = connection
    const upstream = connect(target.port, '127.0.0.1').setNoDelay()
    connection.server = upstream
    client.setNoDelay()
    upstream.on('error', () => {})
    upstream.on('close', () => {
      if (!connection.isBlack) cutOne(connection)
    })

    const readClient = createFrameReader(true)
    const readServer = createFrameReader(false)
    /** The trap that a statement of the present transaction fits. */
    let caughtBy: Trap | undefined
    let isInTransaction = false
    /** @param isCommit whether it is a COMMIT, or else some other statement */
    const springsOn = (loss: Loss, isCommit: boolean) =>
      trap?.loss === loss &&
      (trap.statement === undefined ? isCommit : caughtBy === trap && (isCommit || !isInTransaction))

    const spring = () => {
      const { silence, sprung } = trap!
      trap = undefined
      if (silence === 'cut') cutOne(connection)
      else connection.isBlack = true
      sprung.resolve()
    }
    client.on('data', chunk => {
      if (connection.isBlack) return
      for (const frame of readClient(chunk)) {
        if (frame.type === 'question') {
          client.write('N')
          continue
        }
        const statement = statementOf(frame)
        if (statement !== undefined) {
          if (trap?.statement?.test(statement)) caughtBy = trap
          if (springsOn('request', /^\s*commit\b/i.test(statement))) return spring()
        }
        upstream.write(frame.bytes)
      }
    })
    upstream.on('data', chunk => {
      if (connection.isBlack) return
      for (const frame of readServer(chunk)) {
        const tag = commandTagOf(frame)
        if (tag !== undefined && springsOn('answer', tag === 'COMMIT')) return spring()
        if (frame.type === 'Z') {
          isInTransaction = frame.body.toString('latin1') !== 'I'
          if (!isInTransaction) caughtBy = undefined
        }
        client.write(frame.bytes)
      }
    })
  }

  function cutOne(connection: Connection) {
    connections.delete(connection)
    connection.client.destroy()
    connection.server?.destroy()
  }

  function cut() {
    for (const connection of connections) cutOne(connection)
  }

  /** @returns when it has happened, once */
  function lose(loss: Loss, { statement, silence = 'cut' }: Partial<Pick<Trap, 'statement' | 'silence'>> = {}) {
    const sprung = Promise.withResolvers<void>()
    trap = { loss, silence, statement, sprung }
    return sprung.promise
  }

  async function stopListening() {
    server?.close()
    server = undefined
  }

  t.teardown(async () => {
    await stopListening()
    cut()
  })

  return {
    port,
    /** How many are open, black ones included. */
    connections: () => connections.size,
    /** Bytes of clients that went nowhere. */
    swallowed: () => swallowed,
    /** New connections pass again. Those that were black stay so, as after a network that has forgotten them. */
    async pass() {
      isBlack = false
      if (server !== undefined) return
      server = listen().listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    /** Ends every connection; new ones pass. */
    cut,
    /** From now on nothing gets through and nobody is told (no RST): neither on the connections that are there, nor on new ones. */
    goBlack() {
      isBlack = true
      for (const connection of connections) connection.isBlack = true
    },
    /** Ends every connection and refuses new ones. */
    refuse() {
      stopListening()
      cut()
    },
    /** The next COMMIT (or statement of its own) is done, and its answer is lost with the connection. */
    loseCommitAnswer: (options?: Parameters<typeof lose>[1]) => lose('answer', options),
    /** The next COMMIT (or statement of its own) is lost on its way, with the connection. */
    loseCommit: (options?: Parameters<typeof lose>[1]) => lose('request', options),
    /** Gives up what is to be lost. */
    disarm() {
      trap = undefined
    },
  }
}
