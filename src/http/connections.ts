/**
 * Bounds what connections hold. Of one connection's requests one is answered at a time; an answer that nobody reads, answers that
 * fill the memory, and the connections that were idle longest when there are too many, go. RFC 9112 §9.3 to §9.5; CWE-770.
 */
import { readFileSync } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import type { Socket } from 'node:net'

export type ConnectionLimits = Readonly<{
  /** Connections at once. */
  connections: number
  /** Milliseconds after which an answer of which nothing more was taken is given up. */
  stall: number
  /** Bytes of answers that wait for their readers, of all connections together. */
  unread: number
  /** Requests of one connection that wait for the answer to the one before them. */
  pipelined: number
  /** Milliseconds between two looks at all connections. */
  interval: number
}>

/** How many connections were closed, and why: nothing was taken of an answer, too much waited in all, to make room, for want of room, too many
 * requests at once. */
export type ClosedConnections = { stalled: number; unread: number; idle: number; refused: number; pipelined: number }

/** Descriptors for the database, the log and what is read or fetched now and then. */
const reservedFiles = 64
/** More than a machine should have to hold in memory for one process: some 10 KB each. */
const maxConnections = 16_384

/** Connections of the listener for operators: programs of theirs, and not everybody. */
const maxAdminConnections = 128

/** @param listener of the two together there are never more connections than descriptors */
export function connectionLimits(listener: 'public' | 'admin'): ConnectionLimits {
  const files = openFilesLimit() - maxAdminConnections
  return {
    connections:
      listener === 'admin' ? maxAdminConnections : Math.min(maxConnections, Math.max(files - reservedFiles, files / 2)),
    stall: 30_000,
    unread: 64 * 1024 * 1024,
    pipelined: 32,
    interval: 1000,
  }
}

/** @returns how many descriptors this process may have; where the system does not say, what most allow */
function openFilesLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit ?? 1024)
  } catch {
    return 1024
  }
}

type Connection = {
  socket: Socket
  /** Bytes that had been read, that had been taken and that waited at the last look; when the first two last changed. */
  read: number
  taken: number
  waiting: number
  at: number
}

/**
 * Serves, within limits.
 *
 * @param onClosed told at each look, if something was closed since the last
 */
export function serveWithin(
  limits: ConnectionLimits,
  server: Server,
  listener: RequestListener,
  onClosed: (closed: ClosedConnections) => void,
): void {
  // The one that nothing has happened on for longest is first.
  const connections = new Map<Socket, Connection>()
  let closed = noneClosed()

  server.maxConnections = limits.connections
  server.on('drop', () => closed.refused++)
  server.on('connection', socket => {
    connections.set(socket, { socket, read: 0, taken: 0, waiting: 0, at: performance.now() })
    socket.once('close', () => connections.delete(socket))
    if (connections.size > limits.connections * 0.95) closed.idle += closeIdle(connections, limits.connections * 0.05)
  })
  server.on(
    'request',
    oneAtATime(listener, limits.pipelined, () => closed.pipelined++),
  )

  const timer = setInterval(() => {
    const unread = lookAt(connections, performance.now())
    closed.stalled += closeStalled(connections, performance.now() - limits.stall)
    closed.unread += closeUnread(connections, unread - limits.unread)
    if (Object.values(closed).every(count => count === 0)) return
    onClosed(closed)
    closed = noneClosed()
  }, limits.interval)
  server.once('close', () => clearInterval(timer))
}

const noneClosed = (): ClosedConnections => ({ stalled: 0, unread: 0, idle: 0, refused: 0, pipelined: 0 })

/**
 * Node hands over all requests that came in one piece at once. One that is not the first gets its socket, and is handled, when
 * the answer before it has been taken by the system.
 */
function oneAtATime(listener: RequestListener, limit: number, onTooMany: () => void): RequestListener {
  const waiting = new WeakMap<Socket, number>()
  return (request, response) => {
    if (response.socket !== null) return listener(request, response)
    const { socket } = request
    if (socket.destroyed) return
    const count = (waiting.get(socket) ?? 0) + 1
    waiting.set(socket, count)
    if (count > limit) {
      onTooMany()
      socket.destroy()
      return
    }
    response.once('socket', () => {
      waiting.set(socket, waiting.get(socket)! - 1)
      listener(request, response)
    })
  }
}

/** Notes what has happened since the last look. @returns the bytes that wait for their readers */
function lookAt(connections: Map<Socket, Connection>, now: number): number {
  let unread = 0
  for (const connection of [...connections.values()]) {
    const { socket } = connection
    const { bytesRead, bytesWritten, writableLength } = socket
    unread += writableLength
    connection.waiting = writableLength
    // Node counts as written what waits, too.
    const taken = bytesWritten - writableLength
    if (bytesRead === connection.read && taken === connection.taken) continue
    connection.read = bytesRead
    connection.taken = taken
    connection.at = now
    connections.delete(socket)
    connections.set(socket, connection)
  }
  return unread
}

/** Connections whose answer waits, and of which nothing was taken since then. */
function closeStalled(connections: Map<Socket, Connection>, since: number): number {
  let count = 0
  for (const { socket, waiting, at } of connections.values()) {
    if (at > since) break
    if (waiting === 0) continue
    count++
    // What the system holds for it goes as well.
    socket.resetAndDestroy()
  }
  return count
}

/** Connections whose answers wait, those first that have waited longest, until so many bytes are free. */
function closeUnread(connections: Map<Socket, Connection>, bytes: number): number {
  let count = 0
  let left = bytes
  for (const { socket, waiting } of connections.values()) {
    if (left <= 0) break
    if (waiting === 0 || socket.destroyed) continue
    left -= waiting
    count++
    socket.resetAndDestroy()
  }
  return count
}

/** So many of the connections that wait for a request, those first that have waited longest. */
function closeIdle(connections: Map<Socket, Connection>, most: number): number {
  let count = 0
  for (const { socket } of connections.values()) {
    if (count >= most) break
    // Node sets this one's time-out only between an answer and the next request.
    const isIdle = (socket.timeout ?? 0) > 0 || socket.bytesRead === 0
    if (!isIdle || socket.destroyed) continue
    count++
    socket.destroy()
  }
  return count
}
