#!/usr/bin/env node
// In words that every Node since 10 reads, with no import that an old one lacks: it is to be told that it is too old, not that there is
// a SyntaxError.
if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`latchkey needs Node 24 or newer; this is Node ${process.versions.node}\n`)
  process.exit(1)
}

import('./run.js')
