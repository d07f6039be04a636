/** Starts Swagger UI on the document of the server that this page came from. */
const base = new URL('.', location.href)

// The document names the server by its public URL. Who looks at it at another address of the same server, such as 127.0.0.1 and
// not localhost, tries things out there: another origin would be refused.
const useThisServer = document => {
  const here = base.href.replace(/\/$/, '')
  const { flows } = document.components.securitySchemes.signIn
  flows.password.tokenUrl = flows.password.refreshUrl = `${here}/token`
  return { ...document, servers: [{ url: here }] }
}

// Fills a form with its first example. Without one Swagger UI would send the word "string" for every parameter.
const chooseExamples = document => {
  for (const path of Object.values(document.paths)) {
    for (const { requestBody } of Object.values(path)) {
      for (const mediaType of Object.values(requestBody?.content ?? {})) {
        mediaType.example = Object.values(mediaType.examples)[0].value
        delete mediaType.examples
      }
    }
  }
  return document
}

document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches)

const ui = SwaggerUIBundle({
  url: new URL('openapi.json', base).href,
  dom_id: '#content',
  deepLinking: true,
  displayRequestDuration: true,
  // A token in the browser's storage would outlive the tab.
  persistAuthorization: false,
  // Or the document would be sent to a validator on the Internet.
  validatorUrl: null,
  // A wrong secret is answered with a challenge (RFC 6749 §5.2), at which the browser would open its own dialog over this page.
  requestInterceptor: request => {
    if (request.headers.Authorization !== undefined) request.credentials = 'omit'
    return request
  },
  plugins: [
    {
      statePlugins: {
        spec: {
          wrapActions: { updateJsonSpec: update => document => update(chooseExamples(useThisServer(document))) },
        },
        // A client without a secret has nothing to authenticate by: its id goes in the form (RFC 6749 §3.2.1).
        auth: {
          wrapActions: {
            authorizePassword: authorize => auth =>
              authorize(auth.clientSecret ? auth : { ...auth, passwordType: 'request-body' }),
          },
        },
      },
    },
  ],
})

// The client of a first start.
ui.initOAuth({ clientId: 'app', appName: 'Latchkey' })
