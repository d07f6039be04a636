/** Starts ReDoc on the document of the server that this page came from. */
const { nonce } = document.currentScript

Redoc.init('openapi.json', { nonce, nativeScrollbars: true }, document.getElementById('content'))
