/**
 * An authenticator without a device, and the browser around it: it answers what `creationOptions` and `requestOptions` ask for, with the
 * JSON that `PublicKeyCredential.toJSON()` makes. Attestation `none`; in hand is whatever an attacker could change.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export type CreationOptions = Readonly<{
  rp: Readonly<{ id: string }>
  user: Readonly<{ id: string }>
  challenge: string
  excludeCredentials: readonly Readonly<{ id: string }>[]
}>

export type RequestOptions = Readonly<{
  rpId: string
  challenge: string
  allowCredentials: readonly Readonly<{ id: string }>[]
}>

/** What differs from an honest answer. */
export type Forged = Partial<{
  origin: string
  rpId: string
  type: string
  challenge: string
  /** Of client data. */
  clientData: Readonly<Record<string, unknown>>
  userPresent: boolean
  userVerified: boolean
  backupEligible: boolean
  backedUp: boolean
  /** Instead of one more than the last. */
  signCount: number
  userHandle: string | undefined
  /** A COSE_Key. */
  publicKey: Buffer
  credentialId: Buffer
  /** The attestation. */
  format: string
  statement: CborMap
}>

type Credential = { id: Buffer; rpId: string; userHandle: string; key: KeyObject; signCount: number }

/**
 * @param origin         of the page or app that asks
 * @param backupEligible whether its passkeys may be copied to other devices
 * @param counts         whether it keeps a signature count: those in the cloud do not
 */
export function createAuthenticator(
  origin: string,
  {
    backupEligible = false,
    counts = !backupEligible,
    alg = 'ES256',
  }: { backupEligible?: boolean; counts?: boolean; alg?: Alg } = {},
) {
  const credentials: Credential[] = []

  function authenticatorData(credential: Credential, forged: Forged, attested?: Buffer): Buffer {
    const flags =
      (forged.userPresent === false ? 0 : 0x01) |
      (forged.userVerified === false ? 0 : 0x04) |
      ((forged.backupEligible ?? backupEligible) ? 0x08 : 0) |
      ((forged.backedUp ?? backupEligible) ? 0x10 : 0) |
      (attested === undefined ? 0 : 0x40)
    const head = Buffer.alloc(5)
    head.writeUInt8(flags)
    if (counts) credential.signCount++
    head.writeUInt32BE(forged.signCount ?? credential.signCount, 1)
    return Buffer.concat([sha256(forged.rpId ?? credential.rpId), head, attested ?? Buffer.alloc(0)])
  }

  const clientData = (type: string, challenge: string, forged: Forged) =>
    Buffer.from(
      JSON.stringify({
        type: forged.type ?? type,
        challenge: forged.challenge ?? challenge,
        origin: forged.origin ?? origin,
        crossOrigin: false,
        ...forged.clientData,
      }),
    )

  return {
    credentials,
    /** `navigator.credentials.create`. @returns JSON text */
    create(options: CreationOptions, forged: Forged = {}): string {
      if (credentials.some(({ id }) => options.excludeCredentials.some(one => one.id === encode(id))))
        throw new Error('InvalidStateError: there is one of this user already')
      const { privateKey, publicKey } = generateKeys[alg]()
      const id =
        forged.credentialId ?? sha256(publicKey.export({ type: 'spki', format: 'der' }).toString('hex')).subarray(0, 20)
      const credential = { id, rpId: options.rp.id, userHandle: options.user.id, key: privateKey, signCount: 0 }
      const length = Buffer.alloc(2)
      length.writeUInt16BE(id.length)
      const attested = Buffer.concat([Buffer.alloc(16), length, id, forged.publicKey ?? coseKey(publicKey)])
      const authData = authenticatorData(credential, forged, attested)
      credentials.push(credential)
      const attestationObject = cbor(
        new Map<string, Cbor>([
          ['fmt', forged.format ?? 'none'],
          ['attStmt', forged.statement ?? new Map()],
          ['authData', authData],
        ]),
      )
      return JSON.stringify({
        ...identity(id),
        response: {
          clientDataJSON: encode(clientData('webauthn.create', options.challenge, forged)),
          attestationObject: encode(attestationObject),
          transports: ['internal', 'hybrid'],
        },
      })
    },
    /** `navigator.credentials.get`: signs with the first passkey that is allowed. @returns JSON text */
    get(options: RequestOptions, forged: Forged = {}): string {
      const { rpId, allowCredentials } = options
      const credential = credentials.find(
        one =>
          one.rpId === rpId &&
          (allowCredentials.length === 0 || allowCredentials.some(allowed => allowed.id === encode(one.id))),
      )
      if (credential === undefined) throw new Error('NotAllowedError: there is no passkey for it here')
      const authData = authenticatorData(credential, forged)
      const client = clientData('webauthn.get', options.challenge, forged)
      const signature = sign(
        alg === 'EdDSA' ? null : 'sha256',
        Buffer.concat([authData, createHash('sha256').update(client).digest()]),
        credential.key,
      )
      return JSON.stringify({
        ...identity(forged.credentialId ?? credential.id),
        response: {
          clientDataJSON: encode(client),
          authenticatorData: encode(authData),
          signature: encode(signature),
          userHandle: 'userHandle' in forged ? forged.userHandle : credential.userHandle,
        },
      })
    },
  }
}

export type Authenticator = ReturnType<typeof createAuthenticator>

const encode = (bytes: Buffer) => bytes.toString('base64url')
const sha256 = (text: string) => createHash('sha256').update(text).digest()

function identity(id: Buffer) {
  return {
    id: encode(id),
    rawId: encode(id),
    type: 'public-key',
    authenticatorAttachment: 'platform',
    clientExtensionResults: {},
  }
}

export type Alg = 'ES256' | 'EdDSA' | 'RS256'

const generateKeys = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

/** COSE_Key: RFC 9053 §7.1.1 and §7.2, RFC 8230 §4. */
export function coseKey(key: KeyObject): Buffer {
  const { kty, x, y, n, e } = key.export({ format: 'jwk' })
  const bytes = (text: string | undefined) => Buffer.from(text!, 'base64url')
  const members: [number, Cbor][] =
    kty === 'EC'
      ? [
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, bytes(x)],
          [-3, bytes(y)],
        ]
      : kty === 'OKP'
        ? [
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, bytes(x)],
          ]
        : [
            [1, 3],
            [3, -257],
            [-1, bytes(n)],
            [-2, bytes(e)],
          ]
  return cbor(new Map<number, Cbor>(members))
}

export type CborMap = ReadonlyMap<string | number, Cbor>
export type Cbor = number | string | Buffer | readonly Cbor[] | CborMap

/** RFC 8949, as much of it as WebAuthn needs. */
export function cbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? cborHead(1, -1 - value) : cborHead(0, value)
  if (typeof value === 'string') return Buffer.concat([cborHead(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (Buffer.isBuffer(value)) return Buffer.concat([cborHead(2, value.length), value])
  if ('size' in value) {
    const entries = [...value.entries()].flatMap(([name, member]) => [cbor(name), cbor(member)])
    return Buffer.concat([cborHead(5, value.size), ...entries])
  }
  return Buffer.concat([cborHead(4, value.length), ...value.map(cbor)])
}

function cborHead(majorType: number, argument: number): Buffer {
  const first = majorType << 5
  if (argument < 24) return Buffer.from([first | argument])
  if (argument < 0x1_00) return Buffer.from([first | 24, argument])
  if (argument < 0x1_00_00) return Buffer.from([first | 25, argument >> 8, argument & 0xff])
  const head = Buffer.alloc(5)
  head.writeUInt8(first | 26)
  head.writeUInt32BE(argument, 1)
  return head
}
