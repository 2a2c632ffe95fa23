#!/usr/bin/env node
/**
 * The program `callme`: refuses a Node.js that is too old in one sentence, before anything else is loaded.
 * Written in syntax that Node.js 10 can read.
 */
const OLDEST = '22.19'
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 19)) {
  void import('./run.js')
} else {
  const remedy = 'install a newer one, or in a checkout run `npm ci` and then `npx callme`, which brings its own'
  console.error(`callme needs Node.js ${OLDEST} or newer, but ${process.execPath} is ${process.versions.node}: ${remedy}.`)
  process.exitCode = 1
}
