/** A process that opens the store at a path, says so, and keeps it open until it is killed. */
import { openSqliteStore } from '../../../src/store/sqlite/open-sqlite-store.ts'

const [, , path = ''] = process.argv
openSqliteStore(path)
process.stdout.write('open\n')
process.stdin.resume()
