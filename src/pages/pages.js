/**
 * What pages cannot do without a script: passkeys, looking at a password, times of the person, copying, printing, and Back to a page that
 * came as the answer to a form. Whatever needs it is hidden until it is here, so that nobody without it is offered what does not work.
 * WebAuthn Level 3.
 */
;(() => {
  /** Seconds before a challenge is over at which the browser is given another. */
  const margin = 30

  /** @param {string} text base64url */
  const toBytes = text =>
    Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), character => character.charCodeAt(0))
  /** @param {ArrayBuffer} buffer */
  const toText = buffer =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, '-')
      .replace(/\//g, '_')
      .replace(/=/g, '')

  // Not parseRequestOptionsFromJSON and toJSON: extensions that stand in for the browser have none that works.
  const withIds = list => (list ?? []).map(one => ({ ...one, id: toBytes(one.id) }))
  const readOptions = options => ({
    ...options,
    challenge: toBytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: toBytes(options.user.id) } }),
    ...(options.allowCredentials && { allowCredentials: withIds(options.allowCredentials) }),
    ...(options.excludeCredentials && { excludeCredentials: withIds(options.excludeCredentials) }),
  })
  function answerOf({ id, rawId, type, response, authenticatorAttachment }) {
    const names = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']
    const bytes = names.filter(name => response[name]).map(name => [name, toText(response[name])])
    const transports = response.getTransports?.()
    return JSON.stringify({
      id,
      rawId: toText(rawId),
      type,
      authenticatorAttachment,
      clientExtensionResults: {},
      response: { ...Object.fromEntries(bytes), ...(transports && { transports }) },
    })
  }

  const show = (form, name, isShown = true) => {
    const part = form.querySelector(`[data-${name}]`)
    if (part) part.hidden = !isShown
  }

  /** What to ask the browser for: as it is on the page, or as the server says now. */
  async function begin({ dataset }) {
    if (dataset.options) return { passkey_options: JSON.parse(dataset.options) }
    const answer = await fetch(dataset.begin, { method: 'POST', headers: { accept: 'application/json' } })
    if (!answer.ok) throw new Error(`${answer.status}`)
    return answer.json()
  }

  /** Asks the browser, and sends what it answers by the form of the button. */
  async function ask({ dataset, form }, begun, options) {
    const request = { ...options, publicKey: readOptions(begun.passkey_options) }
    const isNew = dataset.passkey === 'create'
    const credential = await (isNew ? navigator.credentials.create(request) : navigator.credentials.get(request))
    if (!credential) return
    form.elements.passkey.value = answerOf(credential)
    if (begun.auth_session) form.elements.auth_session.value = begun.auth_session
    form.submit()
  }

  /** What has been asked for without a click: only one request may wait. */
  let waiting

  async function click(button) {
    const { form } = button
    const isNew = button.dataset.passkey === 'create'
    if (isNew && !form.reportValidity()) return
    waiting?.abort()
    show(form, 'failed', false)
    show(form, 'known', false)
    button.disabled = true
    try {
      await ask(button, await begin(button))
    } catch (error) {
      show(form, isNew && error.name === 'InvalidStateError' ? 'known' : 'failed')
    } finally {
      button.disabled = false
      button.focus()
    }
  }

  /** Offers passkeys among the names that the browser proposes for the username. */
  async function offer(button) {
    waiting = new AbortController()
    const { signal } = waiting
    try {
      const begun = await begin(button)
      if (signal.aborted) return
      const again = setTimeout(
        () => {
          waiting.abort()
          offer(button)
        },
        (begun.auth_session_expires_in - margin) * 1000,
      )
      signal.addEventListener('abort', () => clearTimeout(again))
      await ask(button, begun, { mediation: 'conditional', signal })
    } catch {
      // Denied, aborted, or nothing to be had: the form is there all the same.
    }
  }

  if (window.PublicKeyCredential && window.isSecureContext) {
    for (const button of document.querySelectorAll('[data-passkey]')) {
      button.hidden = false
      button.parentElement.hidden = false
      show(button.form, 'without', false)
      button.addEventListener('click', () => click(button))
      if (button.dataset.begin)
        PublicKeyCredential.isConditionalMediationAvailable?.().then(
          isThere => isThere && offer(button),
          () => {},
        )
    }
  }

  if (navigator.clipboard) {
    for (const button of document.querySelectorAll('[data-copy]')) {
      button.hidden = false
      button.addEventListener('click', async () => {
        const place = document.getElementById(button.dataset.copy)
        const lines = place.matches('ol') ? [...place.children].map(one => one.innerText.trim()) : [place.innerText]
        try {
          await navigator.clipboard.writeText(lines.join('\n'))
          button.textContent = button.dataset.copied
        } catch {
          getSelection().selectAllChildren(place)
        }
      })
    }
  }

  for (const button of document.querySelectorAll('[data-print]')) {
    button.hidden = false
    button.addEventListener('click', () => print())
  }

  const { show: showText, hide: hideText } = document.currentScript.dataset
  for (const input of document.querySelectorAll('input[type=password]')) {
    const isFocused = input === document.activeElement
    const [place, button, what, which] = ['div', 'button', 'span', 'span'].map(name => document.createElement(name))
    place.className = 'secret'
    button.className = 'reveal'
    button.type = 'button'
    // “Show New password”: which one, for who does not see where the button is.
    which.className = 'unseen'
    which.textContent = ` ${input.labels[0].textContent}`
    button.append(what, which)
    const turn = isShown => {
      input.type = isShown ? 'text' : 'password'
      what.textContent = isShown ? hideText : showText
    }
    turn(false)
    button.addEventListener('click', () => turn(input.type === 'password'))
    // Browsers keep what was typed into other fields to propose it, and pages as they were for Back.
    input.form.addEventListener('submit', () => turn(false))
    addEventListener('pagehide', () => turn(false))
    input.replaceWith(place)
    place.append(input, button)
    if (isFocused) input.focus()
  }

  const { lang } = document.documentElement
  // As the person writes days and hours, where that is a way of the language of the page.
  const locale = navigator.languages.find(one => one.split('-')[0] === lang) ?? lang
  const day = { year: 'numeric', month: lang === 'ko' ? 'long' : 'short', day: 'numeric' }
  const instant = { ...day, hour: '2-digit', minute: '2-digit' }
  for (const time of document.querySelectorAll('time:not([data-ago])'))
    time.textContent = new Date(time.dateTime).toLocaleString(locale, 'day' in time.dataset ? day : instant)

  // By how long the page has been open: the clock of this machine may be wrong, and says that all the same.
  const openedAt = Date.now()
  const ago = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const units = Object.entries({ year: 31536000, month: 2592000, day: 86400, hour: 3600, minute: 60 })
  function tellAgo() {
    for (const time of document.querySelectorAll('time[data-ago]')) {
      const seconds = Number(time.dataset.ago) + (Date.now() - openedAt) / 1000
      const [unit, length] = units.find(one => seconds >= one[1]) ?? []
      if (unit) time.textContent = ago.format(-Math.floor(seconds / length), unit)
    }
  }
  tellAgo()
  setInterval(tellAgo, 30000)
  document.addEventListener('visibilitychange', tellAgo)

  // Of a page that answered a form, Reload and Back ask for the page of its path from now on, and send nothing again.
  history.replaceState(null, '', location.href)
})()
